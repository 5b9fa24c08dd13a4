"""The Grafana JSON data source, fed with what no plugin sends: no 500, and no way out of quotes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tidegauge.config import Config, QueryConfig, TraceConfig

from tests.support.grafana_json import BASE, NOW_MS, RANGE, check_frames

PATHS = (
    "/metrics",
    "/metric-payload-options",
    "/query",
    "/variable",
    "/search",
    "/tag-keys",
    "/tag-values",
    "/annotations",
)
RELAXED = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)
names = (
    st.sampled_from(
        ["cpu", "host", "$v", "annotations", "(a|b)", "a.b", "", "__name__", '"', "sum"]
    )
    | texts
)
OPTIONS = (
    "aggregation group_by rate window transform limit alias format min_step where unit x "
    "tags match dashboard_id"
)
VALUES = "avg p99 rate 5m abs 3 table {{host}} $v sum"
PIECES = "cpu { } ( ) \" ' ` $v ${v} $__interval [ ] 5m host = =~ sum by rate + offset \\ # , 1 @"
payloads = st.dictionaries(
    st.sampled_from(OPTIONS.split()),
    st.sampled_from([*VALUES.split(), "host =~ $v"])
    | scalars
    | st.lists(names, max_size=3)
    | st.dictionaries(names, names, max_size=2),
    max_size=6,
)
codes = st.lists(st.sampled_from([*PIECES.split(), " ", "\n"]) | texts, max_size=12).map("".join)
targets = st.fixed_dictionaries(
    {"target": codes | names | scalars},
    optional={
        "refId": st.just("Anno") | texts,
        "payload": payloads | anything,
        "editorMode": st.sampled_from(["code", "builder", None, "x"]),
        "type": st.sampled_from(["table", "timeserie", None]),
        "hide": st.booleans() | st.none(),
    },
)
filters = st.fixed_dictionaries(
    {},
    optional={
        "key": names,
        "operator": st.sampled_from(["=", "!=", "=~", "!~", "<", ">", "=|", "!=|", "~"]),
        "value": scalars,
        "values": st.lists(scalars, max_size=3),
    },
)
numbers = st.none() | st.integers(-5, 1 << 70) | st.floats()
bodies = st.fixed_dictionaries(
    {"range": st.just(RANGE) | st.fixed_dictionaries({"from": scalars, "to": scalars})},
    optional={
        "targets": st.lists(targets, max_size=3),
        "filters": st.lists(filters, max_size=2),
        "intervalMs": numbers,
        "maxDataPoints": numbers,
        "scopedVars": st.dictionaries(
            st.sampled_from(["v", "w"]) | texts,
            st.fixed_dictionaries({"value": scalars | st.lists(scalars, max_size=3)}) | anything,
            max_size=3,
        ),
    },
)


@pytest.fixture
def config() -> Config:
    return Config(
        trace=TraceConfig(own_metrics_s=0), query=QueryConfig(max_points=1000, timeout_s=3)
    )


@pytest.fixture(autouse=True)
def series(push: Any) -> None:
    push("cpu", 1, {"host": "a"}, NOW_MS - 60_000)
    push("cpu", "NaN", {"host": "b"}, NOW_MS - 60_000)
    push("cpu", "+Inf", {"host": "c"}, NOW_MS - 60_000)
    push("secret", 7, {"host": "a"}, NOW_MS - 60_000)


def answer(client: FlaskClient, path: str, body: object) -> Any:
    """Send a body; return the answer, which must be a good one or say what is wrong."""
    response = client.post(f"{BASE}{path}", data=json.dumps(body))
    said = response.get_json()
    if response.status_code == 200:
        return said
    assert response.status_code in (400, 404, 422), (response.status_code, said)
    assert said["error"]["message"] == said["message"] != ""
    return None


@RELAXED
@given(path=st.sampled_from(PATHS), body=anything | bodies)
def test_no_json_is_an_internal_error(client: FlaskClient, path: str, body: object) -> None:
    said = answer(client, path, body)

    assert said is None or isinstance(said, list)


@RELAXED
@given(body=bodies)
def test_whatever_is_asked_frames_are_well_formed(
    client: FlaskClient, body: dict[str, Any]
) -> None:
    frames = answer(client, "/query", body)

    for frame in frames or ():
        check_frames([frame], [frame["refId"]])


@RELAXED
@given(payload=anything | st.fixed_dictionaries({"target": codes | names}))
def test_no_variable_is_an_internal_error(client: FlaskClient, payload: object) -> None:
    found = answer(client, "/variable", {"payload": payload, "range": RANGE})

    assert found is None or all(set(one) == {"__text", "__value"} for one in found)


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"[",
        b"nul",
        b"\xff",
        b'{"targets": [NaN]}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"targets":' * 5000,
        b" " * (2 * 1024 * 1024 + 1),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_what_is_no_json_is_refused(client: FlaskClient, path: str, body: bytes) -> None:
    response = client.post(f"{BASE}{path}", data=body)

    most_bytes = 16 * 1024 if path == "/annotations" else 2 * 1024 * 1024
    assert response.status_code == (413 if len(body) > most_bytes else 400)
    assert response.get_json()["message"]


INJECTIONS = (
    'a"} or secret{host=~"',
    "a'} or secret{host=~'",
    "a`} or secret{host=~`",
    'a\\"} or secret{host=~".*',
    'a"} or secret #',
    'a\n"} or secret{x!="',
    ".*",
    "a|.*",
    "(",
    "\\",
    "${w}",
)


@pytest.mark.parametrize("value", INJECTIONS)
def test_nothing_gets_out_of_a_value(client: FlaskClient, value: str) -> None:
    """Only `secret` has the value 7, and no series has such a host."""
    as_grafana = "".join(f"\\{c}" if c in "\\^$.*+?()[]{}|" else c for c in value)
    scoped = {"v": {"text": value, "value": value}, "w": {"text": "a", "value": "a"}}
    ways: list[dict[str, Any]] = [
        {"target": "cpu", "filters": [{"key": "host", "operator": "=", "value": value}]},
        {"target": "cpu", "filters": [{"key": "host", "operator": "=|", "values": [value, value]}]},
        {"target": "cpu", "payload": {"where": {"host": [value]}}},
        {"target": "cpu", "payload": {"where": "host = $v"}},
        {"target": "cpu", "payload": {"where": "host =~ ${v}"}},
        {"target": value, "editorMode": "builder"},
        *({"target": f"cpu{{host=~{q}$v{q}}}", "editorMode": "code"} for q in "\"'`"),
        *({"target": f"cpu{{host=~{q}{as_grafana}{q}}}", "editorMode": "code"} for q in "\"'`"),
    ]
    if "\n" not in value:
        ways.append({"target": "cpu", "payload": {"where": f"host =~ {as_grafana}"}})
    for way in ways:
        filters = way.pop("filters", [])
        body = {"targets": [way], "range": RANGE, "filters": filters, "scopedVars": scoped}

        assert answer(client, "/query", {**body, "intervalMs": 30_000}) == [], way


@pytest.mark.parametrize("value", INJECTIONS)
def test_nothing_gets_out_of_a_name(client: FlaskClient, value: str) -> None:
    body = {"targets": [{"target": "cpu"}], "range": RANGE, "intervalMs": 30_000}
    named = {"key": value, "operator": "=", "value": "x"}
    grouped = {"target": "cpu", "payload": {"aggregation": "max", "group_by": [value]}}

    assert answer(client, "/query", {**body, "filters": [named]}) == []
    frames = answer(client, "/query", {**body, "targets": [grouped]}) or []
    assert len(frames) <= 1
    assert all(point[0] != 7 for frame in frames for point in frame["datapoints"])


def test_an_evil_regular_expression_is_linear(client: FlaskClient) -> None:
    evil = {"key": "host", "operator": "=~", "value": "(a+)+b|(a?){500}(a?){400}d"}
    body = {"targets": [{"target": "cpu"}], "range": RANGE, "intervalMs": 30_000}

    assert answer(client, "/query", {**body, "filters": [evil]}) == []


def test_the_queries_of_a_panel_end_before_grafana_gives_up(
    client: FlaskClient, services: Any, config: Config
) -> None:
    moments = iter(range(0, 10_000, 20))
    services.tools = dataclasses.replace(services.tools, monotonic=lambda: float(next(moments)))
    body = {"targets": [{"target": "cpu"}, {"target": "cpu"}], "range": RANGE}

    response = client.post(f"{BASE}/query", json=body)

    assert response.status_code == 503
    assert "took longer than 25 s together" in response.get_json()["message"]
