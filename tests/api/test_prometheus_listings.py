"""labels, label values, series, metadata, buildinfo, exemplars (grafana-contract §2.2 to §2.5)."""

from __future__ import annotations

import pytest

API = "/prometheus/api/v1"
NOW_S = 1_700_000_000


@pytest.fixture
def fleet(push) -> None:
    """Three series of two metrics."""
    push("cpu", 1.0, {"host": "a", "job": "node"}, NOW_S * 1000)
    push("cpu", 1.0, {"host": "b", "job": "node"}, NOW_S * 1000)
    push("mem", 1.0, {"host": "c", "dc": "x"}, NOW_S * 1000)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_labels_are_sorted(client, fleet, method: str) -> None:
    body = client.open(f"{API}/labels", method=method).get_json()

    assert body == {"status": "success", "data": ["__name__", "dc", "host", "job"]}


def test_labels_honour_match(client, fleet) -> None:
    body = client.get(f"{API}/labels", query_string={"match[]": "cpu"}).get_json()

    assert body["data"] == ["__name__", "host", "job"]


def test_label_values_honour_every_match(client, fleet) -> None:
    path = f"{API}/label/host/values"

    assert client.get(path).get_json()["data"] == ["a", "b", "c"]
    one = client.get(path, query_string={"match[]": 'cpu{host!="a"}'}).get_json()
    assert one["data"] == ["b"]
    both = client.get(path, query_string=[("match[]", 'cpu{host!="a"}'), ("match[]", "mem")])
    assert both.get_json()["data"] == ["b", "c"]


def test_metric_names_are_the_values_of_name(client, fleet) -> None:
    assert client.get(f"{API}/label/__name__/values").get_json()["data"] == ["cpu", "mem"]


def test_label_values_only_by_get(client) -> None:
    response = client.post(f"{API}/label/host/values")

    assert response.status_code == 405
    assert response.get_json()["status"] == "error"


def test_an_unknown_label_has_an_empty_list_of_values(client) -> None:
    response = client.get(f"{API}/label/nothing/values")

    assert response.data == b'{"status":"success","data":[]}'


def test_escaped_label_names_are_understood(client, push_remote) -> None:
    push_remote({"__name__": "m", "host.name": "a", "dück": "q"}, [(NOW_S * 1000, 1.0)])

    assert client.get(f"{API}/label/U__host_2e_name/values").get_json()["data"] == ["a"]
    assert client.get(f"{API}/label/U__d_fc_ck/values").get_json()["data"] == ["q"]
    assert client.get(f"{API}/label/d%C3%BCck/values").get_json()["data"] == ["q"]


def test_a_label_name_that_is_empty_behind_its_spelling_is_refused(client) -> None:
    response = client.get(f"{API}/label/U__/values")

    assert (response.status_code, response.get_json()["errorType"]) == (400, "bad_data")
    assert response.get_json()["error"] == 'invalid label name: ""'


def test_series_are_objects(client, fleet) -> None:
    body = client.get(f"{API}/series", query_string={"match[]": "cpu"}).get_json()

    assert body["data"] == [
        {"__name__": "cpu", "host": "a", "job": "node"},
        {"__name__": "cpu", "host": "b", "job": "node"},
    ]


def test_series_take_matches_from_form_and_url_together(client, fleet) -> None:
    response = client.post(f"{API}/series?match[]=mem", data={"match[]": 'cpu{host="a"}'})

    assert [row["__name__"] for row in response.get_json()["data"]] == ["cpu", "mem"]


def test_series_need_a_match(client) -> None:
    response = client.get(f"{API}/series")

    assert response.status_code == 400
    assert response.get_json()["error"] == "no match[] parameter provided"


@pytest.mark.parametrize("path", ["series", "labels", "label/host/values"])
@pytest.mark.parametrize(
    ("match", "text"),
    [
        ("{}", "match[] must contain at least one non-empty matcher"),
        ('{a=~".*"}', "match[] must contain at least one non-empty matcher"),
        ("up[", "parse error"),
    ],
)
def test_a_bad_match_is_400(client, path: str, match: str, text: str) -> None:
    response = client.get(f"{API}/{path}", query_string={"match[]": match})

    assert response.status_code == 400
    assert text in response.get_json()["error"]


@pytest.mark.parametrize(
    ("path", "cut"),
    [
        ("labels", ["__name__", "dc"]),
        ("label/host/values", ["a", "b"]),
        ("series", None),
    ],
)
def test_a_limit_cuts_listings_and_says_so(client, fleet, path: str, cut) -> None:
    query = {"match[]": '{host=~".+"}'}

    body = client.get(f"{API}/{path}", query_string={**query, "limit": 2}).get_json()
    whole = client.get(f"{API}/{path}", query_string={**query, "limit": 40_000}).get_json()

    assert len(body["data"]) == 2
    assert cut is None or body["data"] == cut
    assert body["warnings"] == ["results truncated due to limit"]
    assert len(whole["data"]) > 2
    assert "warnings" not in whole


@pytest.mark.parametrize("path", ["series?match[]=up", "labels?", "label/a/values?"])
@pytest.mark.parametrize("wrong", ["start=x", "end=x", "limit=-1", "limit=1e3"])
def test_wrong_listing_parameters_are_named(client, path: str, wrong: str) -> None:
    response = client.get(f"{API}/{path}&{wrong}")

    assert response.status_code == 400
    name = wrong.partition("=")[0]
    assert response.get_json()["error"].startswith(f'invalid parameter "{name}": ')


def test_metadata_lists_are_never_empty(client, push_metadata) -> None:
    push_metadata("hits_total", type="counter", help="Hits.", unit="")

    assert client.get(f"{API}/metadata").get_json() == {
        "status": "success",
        "data": {"hits_total": [{"type": "counter", "help": "Hits.", "unit": ""}]},
    }
    assert client.get(f"{API}/metadata?metric=other&limit=1").get_json()["data"] == {}


def test_metadata_honours_its_limit(client, push_metadata) -> None:
    for name in ("a", "b", "c"):
        push_metadata(name, type="gauge", help="", unit="")

    found = {
        limit: len(client.get(f"{API}/metadata?limit={limit}").get_json()["data"])
        for limit in ("2", "0", "-1", "")
    }

    assert found == {"2": 2, "0": 3, "-1": 3, "": 3}


def test_buildinfo_is_a_plain_prometheus(client) -> None:
    data = client.get(f"{API}/status/buildinfo").get_json()["data"]

    assert set(data) == {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"}
    assert data["version"] == "2.53.0"
    assert all(isinstance(value, str) for value in data.values())


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_exemplar_probe_is_answered(client, method: str) -> None:
    probe = {"query": "test", "start": NOW_S * 1000, "end": NOW_S * 1000}

    response = client.open(f"{API}/query_exemplars", method=method, query_string=probe)

    assert response.data == b'{"status":"success","data":[]}'
