"""What Grafana, promtool and other Prometheus servers ask besides queries (grafana-contract §2)."""

from __future__ import annotations

import cramjam
import pytest
from flask.testing import FlaskClient

from tests.support import wire

API = "/prometheus/api/v1"
NOW_S = 1_700_000_000


def test_rules_and_alerts_are_empty_lists_never_null(client: FlaskClient) -> None:
    rules, alerts = client.get(f"{API}/rules"), client.get(f"{API}/alerts")

    assert rules.data == b'{"status":"success","data":{"groups":[]}}'
    assert alerts.data == b'{"status":"success","data":{"alerts":[]}}'
    assert {rules.content_type, alerts.content_type} == {"application/json"}


@pytest.mark.parametrize(
    "query",
    [
        "type=alert",
        "type=RECORD&exclude_alerts=TRUE",
        "file=a&file[]=b&rule_group=c&rule_group[]=d&rule_name=e&rule_name[]=f",
        "match[]=up&match[]={a=~'b.%2B'}",
        "group_limit=20",
        "limit_alerts=16&limit_rules=40000",
    ],
)
def test_rules_take_what_grafana_sends(client: FlaskClient, query: str) -> None:
    response = client.get(f"{API}/rules?{query}")

    assert response.status_code == 200, response.get_data(as_text=True)
    assert response.get_json()["data"] == {"groups": []}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("type=recording", 'invalid parameter "type": not supported value "recording"'),
        ("exclude_alerts=yes", 'invalid parameter "exclude_alerts": error converting'),
        ("group_limit=x", 'invalid parameter "group_limit": group_limit needs to be a valid'),
        ("group_limit=4294967296", 'invalid parameter "group_limit": group_limit needs to be a'),
        ("group_limit=0", "group_limit needs to be greater than 0"),
        ("group_next_token=ab", 'invalid parameter "group_next_token": group_limit needs'),
        ("group_limit=1&group_next_token=ab", "invalid group_next_token 'ab'. were rule groups"),
        ("match[]=up{", "parse error"),
        ("match[]={}", "match[] must contain at least one non-empty matcher"),
    ],
)
def test_rules_refuse_what_prometheus_refuses(client: FlaskClient, query: str, error: str) -> None:
    response = client.get(f"{API}/rules?{query}")

    body = response.get_json()
    assert (response.status_code, body["errorType"]) == (400, "bad_data")
    assert list(body) == ["status", "errorType", "error"]
    assert error in body["error"]


@pytest.mark.parametrize("path", ["rules", "alerts", "status/buildinfo", "metadata"])
def test_a_post_to_what_is_only_got_is_405_and_says_what_is_allowed(
    client: FlaskClient, path: str
) -> None:
    response = client.post(f"{API}/{path}")

    assert response.status_code == 405
    assert "GET" in response.headers["Allow"].split(", ")
    assert "POST" not in response.headers["Allow"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_is_formatted_and_parsed(client: FlaskClient, method: str) -> None:
    field = "query_string" if method == "GET" else "data"
    sent = {field: {"query": "sum(a)by(b)"}}

    formatted = client.open(f"{API}/format_query", method=method, **sent)
    parsed = client.open(f"{API}/parse_query", method=method, **sent)

    assert formatted.get_json() == {"status": "success", "data": "sum by (b) (a)"}
    assert parsed.get_json()["data"]["type"] == "aggregation"
    assert parsed.content_type == "application/json"


@pytest.mark.parametrize("path", ["format_query", "parse_query"])
def test_what_does_not_parse_is_an_invalid_parameter(client: FlaskClient, path: str) -> None:
    response = client.get(f"{API}/{path}?query=sum(")

    assert response.status_code == 400
    assert response.get_json()["error"].startswith('invalid parameter "query": 1:5: parse error: ')


def test_statistics_come_only_when_asked_for(client: FlaskClient, push) -> None:
    push("up", 1.0, {}, NOW_S * 1000)

    plain = client.get(f"{API}/query?query=up").get_json()
    counted = client.get(f"{API}/query?query=up&stats=all").get_json()
    odd = client.get(f"{API}/query?query=up&stats=1").get_json()

    assert list(plain["data"]) == ["resultType", "result"]
    assert list(counted["data"]) == ["resultType", "result", "stats"]
    assert counted["data"]["stats"]["samples"]["samplesRead"] == 1
    assert "warnings" not in counted
    assert odd["warnings"] == [
        'value "1" for parameter "stats" is deprecated and will be rejected in the next major '
        'release, use "true" or "all"'
    ]


def test_the_latest_samples_are_federated(client: FlaskClient, push) -> None:
    push("up", 1.0, {"job": "a"}, (NOW_S - 60) * 1000)
    push("up", 2.0, {"job": "a"}, NOW_S * 1000)
    push("up", 3.0, {"job": "old"}, (NOW_S - 301) * 1000)

    response = client.get("/prometheus/federate", query_string={"match[]": "up"})

    assert response.content_type.startswith("text/plain; version=0.0.4; charset=utf-8;")
    assert response.get_data(as_text=True) == (
        f'# TYPE up untyped\nup{{job="a",instance=""}} 2 {NOW_S}000\n'
    )


def test_who_takes_names_of_the_new_kind_gets_them(client: FlaskClient, push_remote) -> None:
    push_remote({"__name__": "a.b"}, [(NOW_S * 1000, 1.0)])
    # As Prometheus 3 sends it, shortened.
    accepted = "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3"

    new = client.get("/prometheus/federate?match[]={'a.b'}", headers={"Accept": accepted})
    old = client.get("/prometheus/federate?match[]={'a.b'}", headers={"Accept": "*/*"})

    assert new.content_type.endswith("; escaping=allow-utf-8")
    assert new.get_data(as_text=True).endswith(f'\n{{"a.b",instance=""}} 1 {NOW_S}000\n')
    assert old.content_type.endswith("; escaping=underscores")
    assert old.get_data(as_text=True).endswith(f'\na_b{{instance=""}} 1 {NOW_S}000\n')


def test_federation_says_what_is_wrong_with_a_selector(client: FlaskClient) -> None:
    response = client.get("/prometheus/federate", query_string={"match[]": "{}"})

    assert response.status_code == 400
    assert "match[]" in response.get_json()["error"]


def test_remote_read_of_nothing_is_an_empty_answer(client: FlaskClient) -> None:
    query = wire.field(1, b"\x08\x01\x10\x02" + wire.field(3, wire.field(2, b"a")))

    response = client.post(f"{API}/read", data=wire.compress(query))

    assert response.status_code == 200
    assert response.content_type == "application/x-protobuf"
    assert response.headers["Content-Encoding"] == "snappy"
    assert bytes(cramjam.snappy.decompress_raw(response.data)) == wire.field(1, b"")


@pytest.mark.parametrize("body", [b"", b"not snappy", wire.compress(b"\x0a\x01")])
def test_remote_read_refuses_what_is_no_request(client: FlaskClient, body: bytes) -> None:
    response = client.post(f"{API}/read", data=body)

    assert response.status_code == 400
    assert response.get_json()["errorType"] == "bad_data"
