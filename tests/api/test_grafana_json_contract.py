"""The Grafana JSON data source, by the strictest reading of what Grafana 9.4, 11 and 13 send."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from tests.support.grafana_json import (
    BASE,
    NOW_MS,
    RANGE,
    RELEASES,
    check_frames,
    headers,
    query_body,
    target,
)

STEP_MS = 30_000


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def post(client: FlaskClient, release: str) -> Callable[..., Any]:
    """Send a body as this release does, and return the parsed answer."""

    def send(path: str, body: object, *, status: int = 200) -> Any:
        data = b"" if body is None else orjson.dumps(body)
        response = client.post(f"{BASE}{path}", data=data, headers=headers(release))
        assert response.status_code == status, response.get_data(as_text=True)
        assert response.mimetype == "application/json"
        packed = response.headers.get("Content-Encoding") == "gzip"
        said = gzip.decompress(response.data) if packed else response.data
        assert b"NaN" not in said
        return orjson.loads(said)

    return send


@pytest.fixture(autouse=True)
def fleet(push_remote: Callable[..., Any]) -> None:
    """Two hosts with a gauge and a counter, ten minutes long; one has a gap."""
    first_ms = NOW_MS - 600_000
    for host, up in (("web1", 1.0), ("web2", 2.0)):
        kept = [at for at in range(0, 600_001, 15_000) if host == "web1" or at not in range(*GAP)]
        for name, slope in (("cpu_seconds_total", up), ("memory_bytes", 0.0)):
            labels = {"__name__": name, "host": host, "dc": "eu" if host == "web1" else "us"}
            points = [(first_ms + at, up * 100 + slope * at / 1000) for at in kept]
            assert push_remote(labels, points).status_code == 204


GAP = (100_000, 520_000)


def test_the_connection_test_is_answered_with_and_without_a_slash(
    client: FlaskClient, release: str
) -> None:
    for path in (BASE, f"{BASE}/"):
        response = client.get(path, headers=headers(release))

        assert response.status_code == 200
        assert "Location" not in response.headers
        assert response.mimetype == "application/json"


@pytest.mark.parametrize("body", [None, {}, {"metric": "memory_bytes", "payload": {}}])
def test_metrics_have_forms(post: Callable[..., Any], body: object) -> None:
    found = post("/metrics", body)

    assert [metric["value"] for metric in found] == ["cpu_seconds_total", "memory_bytes"]
    for metric in found:
        assert set(metric) == {"label", "value", "payloads"}
        for field in metric["payloads"]:
            assert isinstance(field["name"], str)
            assert field["type"] in ("input", "select", "multi-select", "textarea")
            assert all(set(option) == {"label", "value"} for option in field.get("options", []))
    names = [field["name"] for field in found[0]["payloads"]]
    assert set(names) >= {"aggregation", "group_by", "rate", "unit", "alias", "limit", "transform"}


def test_choices_that_depend_on_the_metric_are_asked_for(post: Callable[..., Any]) -> None:
    asked = {"metric": "memory_bytes", "payload": {"aggregation": "avg"}, "name": "group_by"}

    assert post("/metric-payload-options", asked) == [
        {"label": "dc", "value": "dc"},
        {"label": "host", "value": "host"},
    ]
    assert {"label": "avg", "value": "avg"} in post(
        "/metric-payload-options", {"metric": "x", "payload": {}, "name": "aggregation"}
    )


def test_a_metric_gives_a_series_for_each_of_its_label_sets(
    post: Callable[..., Any], release: str
) -> None:
    frames = post("/query", query_body(release, target("memory_bytes", payload={})))

    check_frames(frames, ["A"])
    assert [frame["tags"]["host"] for frame in frames] == ["web1", "web2"]
    assert frames[0]["title"] == 'memory_bytes{dc="eu",host="web1"}'
    assert frames[0]["unit"] == "bytes"
    assert {point[0] for point in frames[0]["datapoints"]} == {100.0}
    times = [point[1] for point in frames[0]["datapoints"]]
    assert all(time_ms % STEP_MS == 0 for time_ms in times)
    assert [b - a for a, b in itertools.pairwise(times)] == [STEP_MS] * (len(times) - 1)
    assert frames[0]["meta"]["executedQueryString"] == "memory_bytes"


def test_a_gap_is_one_null(post: Callable[..., Any], release: str) -> None:
    frames = post(
        "/query", query_body(release, target("memory_bytes", payload={"where": "host = web2"}))
    )

    check_frames(frames, ["A"])
    values = [point[0] for point in frames[0]["datapoints"]]
    assert values.count(None) == 1
    assert values[0] is not None
    assert values[-1] is not None


def test_targets_of_one_panel_are_answered_in_order(post: Callable[..., Any], release: str) -> None:
    targets = [
        target("memory_bytes", ref_id="B", payload={"aggregation": "sum", "alias": "all"}),
        target("vector(1)", ref_id="A", mode="code", payload={}),
        target("memory_bytes", ref_id="C", payload={"format": "table"}),
        target("up", ref_id="D", payload={}),
        target("memory_bytes", ref_id="E", payload={}, hide=True),
        {"refId": "F", "payload": ""},
    ]

    frames = post("/query", query_body(release, *targets))

    check_frames(frames, ["B", "A", "C", "D", "E", "F"])
    assert [frame["refId"] for frame in frames] == ["B", "A", "C"]
    assert frames[0]["title"] == "all"
    assert frames[1]["title"] == "vector(1)"


def test_a_table_has_time_labels_and_value(post: Callable[..., Any], release: str) -> None:
    frames = post(
        "/query", query_body(release, target("memory_bytes", payload={"format": "table"}))
    )

    check_frames(frames, ["A"])
    assert frames[0]["columns"] == [
        {"text": "Time", "type": "time"},
        {"text": "__name__", "type": "string"},
        {"text": "dc", "type": "string"},
        {"text": "host", "type": "string"},
        {"text": "Value", "type": "number", "unit": "bytes"},
    ]
    assert frames[0]["rows"] == [
        [NOW_MS, "memory_bytes", "eu", "web1", 100.0],
        [NOW_MS, "memory_bytes", "us", "web2", 200.0],
    ]


def test_no_target_is_no_frame(post: Callable[..., Any], release: str) -> None:
    assert post("/query", query_body(release)) == []
    assert post("/query", None) == []


def test_variables_are_objects_with_text_and_value(post: Callable[..., Any]) -> None:
    asked = {"payload": {"target": "label_values(memory_bytes, host)"}, "range": RANGE}

    assert post("/variable", asked) == [
        {"__text": "web1", "__value": "web1"},
        {"__text": "web2", "__value": "web2"},
    ]


@pytest.mark.parametrize("body", [None, {}, {"filters": [], "timeRange": RANGE, "queries": []}])
def test_filters_can_be_on_every_label(post: Callable[..., Any], body: object) -> None:
    assert post("/tag-keys", body) == [
        {"type": "string", "text": "dc", "value": "dc"},
        {"type": "string", "text": "host", "value": "host"},
    ]


def test_values_of_a_filter_are_narrowed_by_the_others(post: Callable[..., Any]) -> None:
    chosen = [
        {"key": "dc", "operator": "=", "value": "us"},
        {"key": "host", "operator": "=", "value": "web1"},
    ]

    assert post("/tag-values", {"key": "host"}) == [
        {"text": "web1", "value": "web1"},
        {"text": "web2", "value": "web2"},
    ]
    assert post("/tag-values", {"key": "host", "filters": chosen, "timeRange": RANGE}) == [
        {"text": "web2", "value": "web2"}
    ]
    assert post("/tag-keys", {"filters": [{"key": "x", "operator": "=", "value": "1"}]}) == []


def test_older_plugins_find_metrics_and_variables_by_search(post: Callable[..., Any]) -> None:
    assert post("/search", {"target": ""}) == ["cpu_seconds_total", "memory_bytes"]
    assert post("/search", {"target": "mem"}) == ["memory_bytes"]
    assert post("/search", {"type": "x", "target": "label_values(dc)"}) == ["eu", "us"]


def test_older_plugins_send_a_type_and_the_text_of_the_payload(
    post: Callable[..., Any], release: str
) -> None:
    old = [
        {"refId": "A", "target": "memory_bytes", "type": "timeserie", "payload": ""},
        {"refId": "B", "target": "memory_bytes", "type": "table", "payload": '{"limit": 1}'},
    ]
    filters = [{"key": "host", "operator": "=", "value": "web2"}]

    frames = post("/query", query_body(release, *old, adhocFilters=filters))

    check_frames(frames, ["A", "B"])
    assert frames[0]["tags"]["host"] == "web2"
    assert frames[1]["rows"] == [[NOW_MS, "memory_bytes", "us", "web2", 200.0]]


def test_browsers_may_ask_the_older_paths_from_elsewhere(client: FlaskClient) -> None:
    response = client.options(f"{BASE}/search", headers={"Origin": "http://localhost:3000"})

    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"target": "sum(", "editorMode": "code"}, 400, "parse"),
        ({"target": "rate(memory_bytes)", "editorMode": "code"}, 400, "parse"),
        ({"target": "memory_bytes", "payload": {"aggregation": "avarage"}}, 400, "bad_data"),
        ({"target": "memory_bytes", "payload": "{"}, 400, "bad_data"),
        ({"target": "1" + "+1" * 200_000, "editorMode": "code"}, 400, "bad_data"),
        ({"target": "(" * 200 + "1" + ")" * 200, "editorMode": "code"}, 422, "limit"),
        (
            {"target": "memory_bytes * on (job) memory_bytes", "editorMode": "code"},
            422,
            "execution",
        ),
    ],
)
def test_an_error_says_what_is_wrong_where_grafana_shows_it(
    post: Callable[..., Any], release: str, body: dict[str, Any], status: int, code: str
) -> None:
    said = post("/query", query_body(release, {"refId": "A", **body}), status=status)

    assert set(said) == {"message", "error", "request_id"}
    assert said["error"] == {"code": code, "message": said["message"]}
    assert len(said["message"]) > 10


def test_an_error_names_its_query_among_several(post: Callable[..., Any], release: str) -> None:
    targets = [target("memory_bytes"), target("sum(", ref_id="B", mode="code")]

    said = post("/query", query_body(release, *targets), status=400)

    assert said["message"].startswith("1:5: parse error")
    assert said["message"].endswith("(query B)")


def test_other_methods_and_paths_are_refused_in_json(client: FlaskClient) -> None:
    for method, path, status in (
        ("GET", "/query", 405),
        ("PUT", "/metrics", 405),
        ("POST", "/", 405),
        ("GET", "/nothing", 404),
        ("POST", "/query/x", 404),
    ):
        response = client.open(f"{BASE}{path}", method=method)

        assert response.status_code == status, path
        assert response.get_json()["message"] == response.get_json()["error"]["message"]
        assert ("Allow" in response.headers) is (status == 405)


def test_a_stranger_gets_403_since_grafana_swallows_what_a_401_says(client: FlaskClient) -> None:
    response = client.post(f"{BASE}/query", json={}, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})

    assert response.status_code == 403
    assert response.get_json()["error"]["code"] == "unauthenticated"
    assert "API token" in response.get_json()["message"]


def test_a_wrong_token_is_told_of_when_the_data_source_is_tested(
    client: FlaskClient, release: str
) -> None:
    response = client.get(BASE, headers={**headers(release), "Authorization": "Bearer wrong"})

    assert response.status_code == 403
    assert "no API token of ours" in response.get_json()["error"]["message"]
