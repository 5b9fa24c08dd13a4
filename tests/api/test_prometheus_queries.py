"""query and query_range as Grafana and Prometheus's own clients use them (grafana-contract §2)."""

from __future__ import annotations

import gzip

import orjson
import pytest
from flask.testing import FlaskClient

API = "/prometheus/api/v1"
NOW_S = 1_700_000_000


def error_of(response) -> tuple[int, str, str]:
    body = response.get_json()
    assert list(body) == ["status", "errorType", "error"]
    assert body["status"] == "error"
    return response.status_code, body["errorType"], body["error"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_health_check_of_grafana_gets_its_scalar(client: FlaskClient, method: str) -> None:
    sent = {"query": "1+1", "time": "4"}
    field = "query_string" if method == "GET" else "data"

    response = client.open(f"{API}/query", method=method, **{field: sent})

    assert response.status_code == 200
    assert response.content_type == "application/json"
    expected = b'{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}'
    assert response.data == expected


def test_an_instant_query_answers_a_vector_with_result_type_first(client, push) -> None:
    push("up", 1.0, {"job": "a"}, NOW_S * 1000)

    response = client.get(f"{API}/query", query_string={"query": "up", "time": NOW_S})

    assert orjson.loads(response.data) == {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [{"metric": {"__name__": "up", "job": "a"}, "value": [NOW_S, "1"]}],
        },
    }
    assert response.data.index(b"resultType") < response.data.index(b'"result":')


def test_without_a_time_the_query_is_about_now(client, push) -> None:
    push("up", 3.0, {}, NOW_S * 1000)

    body = client.get(f"{API}/query?query=up").get_json()

    assert body["data"]["result"][0]["value"] == [NOW_S, "3"]


def test_a_range_query_answers_a_matrix(client, push) -> None:
    for step in range(3):
        push("cpu", float(step), {"host": "a"}, (NOW_S - 60 + 30 * step) * 1000)

    response = client.post(
        f"{API}/query_range",
        data={"query": "cpu", "start": NOW_S - 60, "end": NOW_S, "step": "30"},
    )

    assert response.get_json()["data"] == {
        "resultType": "matrix",
        "result": [
            {
                "metric": {"__name__": "cpu", "host": "a"},
                "values": [[NOW_S - 60, "0"], [NOW_S - 30, "1"], [NOW_S, "2"]],
            }
        ],
    }


@pytest.mark.parametrize("path", ["query?query=nothing", "query_range?query=nothing&RANGE"])
def test_nothing_found_is_an_empty_list(client: FlaskClient, path: str) -> None:
    path = path.replace("RANGE", f"start={NOW_S - 60}&end={NOW_S}&step=15")

    assert client.get(f"{API}/{path}").get_json()["data"]["result"] == []


def test_special_values_are_strings(client: FlaskClient) -> None:
    for text, shown in (
        ("1/0", "+Inf"),
        ("-1/0", "-Inf"),
        ("0/0", "NaN"),
        ("0.1+0.2", "0.30000000000000004"),
    ):
        body = client.get(f"{API}/query", query_string={"query": text, "time": 4}).get_json()
        assert body["data"]["result"] == [4, shown]


def test_a_string_query_answers_a_string(client: FlaskClient) -> None:
    body = client.get(f"{API}/query", query_string={"query": '"a"', "time": 1.5}).get_json()

    assert body["data"] == {"resultType": "string", "result": [1.5, "a"]}


def test_form_values_win_over_those_of_the_url(client: FlaskClient) -> None:
    response = client.post(f"{API}/query?query=7&time=9", data={"query": "1+1", "time": "4"})

    assert response.get_json()["data"]["result"] == [4, "2"]


def test_custom_parameters_of_the_url_are_read_beside_the_form(client: FlaskClient) -> None:
    response = client.post(f"{API}/query?time=9", data={"query": "1+1"})

    assert response.get_json()["data"]["result"] == [9, "2"]


def test_go_style_durations_are_understood(client, push) -> None:
    push("hits_total", 0.0, {}, (NOW_S - 240) * 1000)
    push("hits_total", 240.0, {}, NOW_S * 1000)

    body = client.get(
        f"{API}/query", query_string={"query": "increase(hits_total[4m1s])", "time": NOW_S}
    ).get_json()

    assert float(body["data"]["result"][0]["value"][1]) == pytest.approx(240)


def test_a_limit_cuts_series_and_says_so(client, push) -> None:
    for host in "abc":
        push("cpu", 1.0, {"host": host}, NOW_S * 1000)

    body = client.get(f"{API}/query", query_string={"query": "cpu", "limit": 2}).get_json()

    assert [row["metric"]["host"] for row in body["data"]["result"]] == ["a", "b"]
    assert body["warnings"] == ["results truncated due to limit"]
    uncut = client.get(f"{API}/query", query_string={"query": "cpu", "limit": 3}).get_json()
    assert len(uncut["data"]["result"]) == 3
    assert "warnings" not in uncut


def test_lookback_delta_replaces_the_configured_lookback(client, push) -> None:
    push("up", 1.0, {}, (NOW_S - 200) * 1000)
    query = {"query": "up", "time": NOW_S}

    assert client.get(f"{API}/query", query_string=query).get_json()["data"]["result"]
    shorter = client.get(f"{API}/query", query_string={**query, "lookback_delta": "1m"})
    assert shorter.get_json()["data"]["result"] == []


@pytest.mark.parametrize(
    ("params", "status", "kind", "text"),
    [
        ({"query": "up{"}, 400, "bad_data", 'invalid parameter "query": 1:4: parse error: '),
        ({}, 400, "bad_data", 'invalid parameter "query": '),
        ({"query": "sum(up"}, 400, "bad_data", "parse error"),
        ({"query": "up", "time": "x"}, 400, "bad_data", 'invalid parameter "time": '),
        ({"query": "up", "timeout": "x"}, 400, "bad_data", 'invalid parameter "timeout": '),
        ({"query": "up", "limit": "-1"}, 400, "bad_data", 'invalid parameter "limit": '),
        ({"query": "up", "limit": "x"}, 400, "bad_data", 'invalid parameter "limit": '),
        ({"query": "up", "lookback_delta": "x"}, 400, "bad_data", "error parsing lookback delta"),
        ({"query": "up", "timeout": "0"}, 503, "timeout", "timed out"),
    ],
)
def test_instant_query_errors(client, params, status, kind, text) -> None:
    found_status, found_kind, found_text = error_of(client.get(f"{API}/query", query_string=params))

    assert (found_status, found_kind) == (status, kind)
    assert text in found_text


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"step": "0"}, "zero or negative query resolution step widths are not accepted"),
        ({"step": "-5"}, "zero or negative query resolution step widths are not accepted"),
        ({"step": ""}, 'invalid parameter "step": cannot parse "" to a valid duration'),
        ({"end": "1"}, 'invalid parameter "end": end timestamp must not be before start time'),
        ({"start": ""}, 'invalid parameter "start": cannot parse "" to a valid timestamp'),
        ({"end": "99999"}, "exceeded maximum resolution of 11,000 points per timeseries"),
        ({"query": "up[5m]"}, 'invalid expression type "range vector" for range query'),
        ({"query": '"a"'}, 'invalid expression type "string" for range query'),
    ],
)
def test_range_query_errors_are_bad_data(client, changed, text) -> None:
    params = {"query": "up", "start": "1000", "end": "2000", "step": "5", **changed}

    status, kind, found = error_of(client.get(f"{API}/query_range", query_string=params))

    assert (status, kind) == (400, "bad_data")
    assert text in found


def test_eleven_thousand_intervals_are_just_allowed(client: FlaskClient) -> None:
    params = {"query": "1", "start": 0, "end": 11_000, "step": 1}

    body = client.get(f"{API}/query_range", query_string=params).get_json()

    assert len(body["data"]["result"][0]["values"]) == 11_001


def test_an_evaluation_error_is_422_execution(client, push) -> None:
    push("a", 1.0, {"x": "1"}, NOW_S * 1000)
    push("a", 1.0, {"x": "2"}, NOW_S * 1000)

    status, kind, text = error_of(client.get(f"{API}/query", query_string={"query": "a + on() a"}))

    assert (status, kind) == (422, "execution")
    assert "many-to-many" in text or "duplicate series" in text


def test_a_wrong_method_is_405_with_a_json_body(client: FlaskClient) -> None:
    response = client.delete(f"{API}/query")

    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert response.get_json()["status"] == "error"


@pytest.mark.parametrize("path", ["nothing", "status/flags", "", "query/x", "label/a/b/values"])
def test_an_unknown_path_is_404_with_a_json_body(client: FlaskClient, path: str) -> None:
    status, kind, text = error_of(client.get(f"{API}/{path}"))

    assert (status, kind) == (404, "not_found")
    assert path in text


def test_a_trailing_slash_is_served_without_a_redirect(client: FlaskClient) -> None:
    response = client.get(f"{API}/query/?query=1%2B1&time=4")

    assert response.get_json()["data"]["result"] == [4, "2"]


def test_a_large_answer_is_compressed_when_accepted(client: FlaskClient) -> None:
    params = {"query": "1", "start": 0, "end": 5000, "step": 1}
    plain = client.get(f"{API}/query_range", query_string=params)
    packed = client.get(
        f"{API}/query_range", query_string=params, headers={"Accept-Encoding": "gzip, deflate"}
    )
    refused = client.get(
        f"{API}/query_range", query_string=params, headers={"Accept-Encoding": "gzip;q=0"}
    )

    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.data) == plain.data == refused.data
    assert "Content-Encoding" not in plain.headers
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data)


def test_a_form_beyond_its_limit_is_refused(client: FlaskClient) -> None:
    status, kind, text = error_of(
        client.post(f"{API}/query", data={"query": "1", "pad": "x" * (2 * 1024 * 1024)})
    )

    assert (status, kind) == (413, "bad_data")
    assert "2097152 bytes" in text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (r'up{job=~"\xff"}', 400),
        (r'up{job!~"(\xff[a]"}', 400),
        (r'label_replace(up, "a", "$1", "job", "(\xff)")', 422),
        (r'label_replace(up, "\xff", "$1", "job", "(.*)")', 422),
        (r'label_replace(label_replace(vector(1),"a","\xffb","",""),"c","$1","a","(.)b")', 200),
    ],
)
def test_strings_that_are_no_utf8_are_never_our_fault(
    client: FlaskClient, query: str, status: int
) -> None:
    response = client.post(f"{API}/query", data={"query": query})

    assert response.status_code == status, response.get_data(as_text=True)
