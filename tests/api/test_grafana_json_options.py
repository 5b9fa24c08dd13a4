"""The options, filters and steps of Grafana JSON queries, by the PromQL that they become."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.config import Config, QueryConfig, TraceConfig

from tests.support.grafana_json import BASE, NOW_MS, RANGE, check_frames, query_body, target

WEB = ("web1", "web2", "web.3")


@pytest.fixture
def config() -> Config:
    query = QueryConfig(max_points=1000, max_result_points=2000)
    return Config(trace=TraceConfig(own_metrics_s=0), query=query)


@pytest.fixture
def ask(client: FlaskClient) -> Callable[..., list[dict[str, Any]]]:
    """Ask one target, and return the frames."""

    def send(text: str, payload: object = None, *, mode: str = "builder", **more: Any) -> Any:
        body = query_body("11", target(text, mode=mode, payload=payload), **more)
        response = client.post(f"{BASE}/query", json=body)
        assert response.status_code == 200, response.get_data(as_text=True)
        check_frames(response.get_json(), ["A"])
        return response.get_json()

    return send


@pytest.fixture
def asked(ask: Callable[..., list[dict[str, Any]]]) -> Callable[..., str]:
    """Ask one target as a table, and return the PromQL that it became."""

    def send(text: str, payload: dict[str, Any] | None = None, **more: Any) -> str:
        frames = ask(text, {"format": "table", **(payload or {})}, **more)
        return frames[0]["meta"]["executedQueryString"]

    return send


@pytest.fixture
def refused(client: FlaskClient) -> Callable[..., str]:
    """Ask one target that is refused, and return the message."""

    def send(text: str, payload: object = None, *, mode: str = "builder", **more: Any) -> str:
        body = query_body("11", target(text, mode=mode, payload=payload), **more)
        response = client.post(f"{BASE}/query", json=body)
        assert response.status_code == 400, response.get_data(as_text=True)
        return response.get_json()["message"]

    return send


@pytest.fixture
def fleet(push: Callable[..., None]) -> None:
    for number, host in enumerate(WEB):
        push("cpu", number + 1, {"host": host, "core": str(number * 10)}, NOW_MS - 60_000)


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        ({}, "cpu"),
        ({"aggregation": "avg"}, "avg(cpu)"),
        ({"aggregation": "none"}, "cpu"),
        ({"aggregation": "sum", "group_by": ["host", "dc"]}, "sum by (host, dc) (cpu)"),
        ({"aggregation": "sum", "group_by": "host, dc"}, "sum by (host, dc) (cpu)"),
        ({"aggregation": "p95"}, "quantile(0.95, cpu)"),
        ({"aggregation": "max", "group_by": ["a.b", "by"]}, 'max by ("a.b", by) (cpu)'),
        ({"rate": "rate"}, "rate(cpu[1m])"),
        ({"rate": "increase", "window": "1h30m"}, "increase(cpu[1h30m])"),
        ({"rate": "rate", "window": "$__range"}, "rate(cpu[10m])"),
        ({"rate": "rate", "min_step": "5m"}, "rate(cpu[5m15s])"),
        ({"transform": "log2"}, "log2(cpu)"),
        (
            {"rate": "rate", "aggregation": "sum", "group_by": ["host"], "transform": "ceil"},
            "ceil(sum by (host) (rate(cpu[1m])))",
        ),
        ({"where": "host = web1"}, 'cpu{host="web1"}'),
        ({"where": 'host =~ "web.*"\ndc != eu'}, 'cpu{dc!="eu",host=~"web.*"}'),
        (
            {"where": {"host": ["web1", "web.3"], "dc": "eu"}},
            'cpu{dc="eu",host=~"(web1|web\\\\.3)"}',
        ),
    ],
)
def test_options_become_promql(
    asked: Callable[..., str], payload: dict[str, Any], wanted: str
) -> None:
    assert asked("cpu", payload) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("node:cpu", "node:cpu"),
        ("http.requests", '{__name__="http.requests"}'),
        ("sum", '{__name__="sum"}'),
        ("NaN", '{__name__="NaN"}'),
        ('a"b', '{__name__="a\\"b"}'),
        ("größe", '{__name__="größe"}'),
    ],
)
def test_a_metric_may_have_any_name(asked: Callable[..., str], name: str, wanted: str) -> None:
    assert asked(name) == wanted


def test_options_wrap_code_too(asked: Callable[..., str]) -> None:
    assert asked("a + b", {"aggregation": "max"}, mode="code") == "max(a + b)"
    assert asked("(cpu)", {"rate": "irate"}, mode="code") == "irate(cpu[1m])"


def test_without_a_mode_a_name_is_a_metric_and_all_else_promql(asked: Callable[..., str]) -> None:
    assert asked("sum", mode="") == '{__name__="sum"}'
    assert asked("sum(cpu)", mode="") == "sum(cpu)"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"aggregation": "evil(x)"}, "none of avg, sum"),
        ({"rate": "rates"}, "none of rate, increase"),
        ({"transform": "sum"}, "none of abs"),
        ({"format": "csv"}, "none of time_series, table"),
        ({"group_by": ["host"]}, 'needs an "aggregation"'),
        ({"window": "5m"}, "there is none"),
        ({"rate": "rate", "window": "5m] or up[5m"}, "valid duration"),
        ({"rate": "rate", "window": "0"}, "at least a millisecond"),
        ({"limit": "-1"}, "whole number from 1"),
        ({"limit": "99999999999"}, "whole number from 1"),
        ({"where": "host web1"}, "is not like host = web1"),
        ({"where": "host =~ ("}, "invalid regular expression"),
        ({"where": {"host": []}}, "a label and its values"),
        ({"alias": {"a": 1}}, "a text is wanted"),
        ([1], "a JSON object is wanted"),
        ("[1]", "a JSON object is wanted"),
        ("{", "it is no JSON"),
    ],
)
def test_a_wrong_option_is_named(refused: Callable[..., str], payload: object, said: str) -> None:
    message = refused("cpu", payload)

    assert said in message
    assert "invalid option" in message or "regular expression" in message


def test_a_rate_is_taken_of_a_metric_only(refused: Callable[..., str]) -> None:
    assert "more than that" in refused("a + b", {"rate": "rate"}, mode="code")


@pytest.mark.usefixtures("fleet")
def test_a_limit_leaves_series_out_and_says_so(ask: Callable[..., Any]) -> None:
    frames = ask("cpu", {"limit": "2"})

    assert len(frames) == 2
    assert frames[0]["meta"]["notices"] == [
        {"severity": "warning", "text": 'only the first 2 series are shown (option "limit")'}
    ]
    assert "meta" not in frames[1]


@pytest.mark.usefixtures("fleet")
def test_what_is_kept_of_an_answer_is_kept_for_each_look(ask: Callable[..., Any]) -> None:
    looks = [{}, {"alias": "a"}, {"alias": "b", "unit": "s"}, {"limit": 1}, {"format": "table"}]

    first = [ask("cpu", look, intervalMs=10_000) for look in looks]
    again = [ask("cpu", look, intervalMs=10_000) for look in looks]

    assert again == first
    assert [frames[0].get("title") for frames in first[1:]] == [
        "a",
        "b",
        first[0][0]["title"],
        None,
    ]
    assert [len(frames) for frames in first] == [3, 3, 3, 1, 1]


@pytest.mark.usefixtures("fleet")
def test_names_of_series_follow_the_alias(ask: Callable[..., Any]) -> None:
    scoped = {"env": {"text": "prod", "value": "prod"}}

    frames = ask("cpu", {"alias": "$env: {{host}}{{ nothing }} {{core}}"}, scopedVars=scoped)

    assert [frame["title"] for frame in frames] == [
        "prod: web1 0",
        "prod: web2 10",
        "prod: web.3 20",
    ]


def test_what_promql_remarks_is_a_notice(
    ask: Callable[..., Any], push: Callable[..., None]
) -> None:
    for ago_ms in (120_000, 60_000):
        push("cpu", 1, {}, NOW_MS - ago_ms)

    frames = ask("rate(cpu[5m])", {"tpyo": 1}, mode="code")

    texts = [notice["text"] for notice in frames[0]["meta"]["notices"]]
    assert texts[0] == 'there is no option "tpyo"'
    assert "metric might not be a counter" in texts[1]


def test_notices_are_there_without_a_series_too(ask: Callable[..., Any]) -> None:
    frames = ask("nothing", {"tpyo": 1})

    assert [(frame["fields"], len(frame["meta"]["notices"])) for frame in frames] == [([], 1)]


@pytest.mark.parametrize(
    ("payload", "name", "unit"),
    [
        ({}, "memory_bytes", "bytes"),
        ({"rate": "rate"}, "sent_bytes_total", "Bps"),
        ({"rate": "increase"}, "sent_bytes_total", "bytes"),
        ({"rate": "rate"}, "cpu_seconds_total", "percentunit"),
        ({"aggregation": "count"}, "memory_bytes", None),
        ({"unit": "short"}, "memory_bytes", "short"),
        ({}, "requests", None),
    ],
)
def test_the_unit_is_that_of_the_name_unless_one_is_chosen(
    ask: Callable[..., Any], payload: dict[str, str], name: str, unit: str | None
) -> None:
    frames = ask(name, {**payload, "format": "table"})

    assert frames[0]["columns"][-1].get("unit") == unit


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("operator", "value", "matcher", "hosts"),
    [
        ("=", "web1", 'host="web1"', ["web1"]),
        ("!=", "web1", 'host!="web1"', ["web2", "web.3"]),
        ("=~", "web[12]", 'host=~"web[12]"', ["web1", "web2"]),
        ("!~", "web[12]", 'host!~"web[12]"', ["web.3"]),
        ("=|", ["web1", "web.3"], 'host=~"(web1|web\\\\.3)"', ["web1", "web.3"]),
        ("!=|", ["web1", "web.3"], 'host!~"(web1|web\\\\.3)"', ["web2"]),
        ("=|", ["web1"], 'host="web1"', ["web1"]),
    ],
)
def test_filters_reach_every_selector(
    ask: Callable[..., Any], operator: str, value: Any, matcher: str, hosts: list[str]
) -> None:
    one = {"key": "host", "operator": operator, "value": value}
    if isinstance(value, list):
        one |= {"values": value, "value": value[0]}

    frames = ask("cpu and cpu", mode="code", filters=[one, {"key": "", "operator": "="}])

    assert frames[0]["meta"]["executedQueryString"] == f"cpu{{{matcher}}} and cpu{{{matcher}}}"
    assert [frame["tags"]["host"] for frame in frames] == hosts


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("operator", "value", "cores"),
    [("<", "10", ["0"]), (">", "9.5", ["10", "20"]), (">", "100", []), ("<", 11, ["0", "10"])],
)
def test_labels_are_compared_as_numbers(
    ask: Callable[..., Any], operator: str, value: Any, cores: list[str]
) -> None:
    frames = ask("cpu", filters=[{"key": "core", "operator": operator, "value": value}])

    assert sorted(frame["tags"]["core"] for frame in frames) == cores


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ({"key": "host", "operator": "~", "value": "x"}, "none of = !="),
        ({"key": "core", "operator": "<", "value": "x"}, "a number is wanted"),
        ({"key": "host", "operator": "=~", "value": "("}, "invalid regular expression"),
    ],
)
def test_a_wrong_filter_is_named(
    refused: Callable[..., str], one: dict[str, str], said: str
) -> None:
    assert said in refused("cpu", filters=[one])


@pytest.mark.parametrize(
    ("interval_ms", "max_points", "step_ms"),
    [
        (30_000, 550, 30_000),
        (5000, 100, 5000),
        (1000, 100, 6123),
        (None, 102, 6000),
        (None, None, 2000),
        (15_500.5, None, 15_500),
    ],
)
def test_the_step_is_grafanas_interval_unless_that_gives_far_too_many_points(
    ask: Callable[..., Any], interval_ms: Any, max_points: Any, step_ms: int
) -> None:
    frames = ask("vector(1)", mode="code", intervalMs=interval_ms, maxDataPoints=max_points)

    times = [point[1] for point in frames[0]["datapoints"]]
    assert frames[0]["meta"]["custom"]["step_ms"] == step_ms
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {step_ms}
    assert max_points is None or len(times) <= 2 * max_points


def test_a_step_that_gives_more_points_than_allowed_is_raised_and_says_so(
    ask: Callable[..., Any],
) -> None:
    frames = ask("vector(1)", mode="code", intervalMs=100, maxDataPoints=6000)

    assert 900 < len(frames[0]["datapoints"]) <= 1001
    assert "TIDEGAUGE_QUERY_MAX_POINTS" in frames[0]["meta"]["notices"][0]["text"]


def test_all_queries_of_a_panel_share_the_limit_of_points(client: FlaskClient) -> None:
    every = [target("vector(1)", ref_id=name, mode="code") for name in "ABCD"]

    response = client.post(f"{BASE}/query", json=query_body("11", *every, intervalMs=1000))

    assert response.status_code == 422
    assert "TIDEGAUGE_QUERY_MAX_RESULT_POINTS" in response.get_json()["message"]
    assert response.get_json()["message"].endswith("(query D)")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"targets": [target("up")] * 51}, "at most 50"),
        ({"filters": [{"key": "a"}] * 51}, "at most 50"),
        ({"scopedVars": {f"v{number}": {"value": 1} for number in range(501)}}, "at most 500"),
        ({"range": None}, "range.from and range.to"),
        ({"range": {"from": "soon", "to": "now"}}, "range.from"),
        ({"range": {"from": "now", "to": "now-1h"}}, "before range.from"),
    ],
)
def test_what_is_too_much_or_no_range_is_refused(
    refused: Callable[..., str], more: dict[str, Any], said: str
) -> None:
    assert said in refused("up", **more)


def test_variables_that_grafana_does_not_know_are_put_in(asked: Callable[..., str]) -> None:
    text = "rate(x[$__rate_interval]) + rate(x[${__range}]) + x offset $__interval * $__range_s"

    assert asked(text, mode="code") == "rate(x[1m]) + rate(x[10m]) + x offset 30s * 600"


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["cpu"]),
        ("pu", ["cpu"]),
        ("p.", []),
        ("label_names()", ["core", "host"]),
        ("label_names(nothing)", []),
        ("label_values(host)", ["web.3", "web1", "web2"]),
        (' label_values( cpu{core="0"} , host ) ', ["web1"]),
        ('label_values(cpu{host=~"(web1|web\\.3)",core!="0"}, host)', ["web.3"]),
        ("metrics(c)", ["cpu"]),
        ("metrics(^x)", []),
        ('query_result(sum(cpu{host!="web1"}))', ["{} 5 1700000000000"]),
        ('query_result(cpu{host="web2"})', ['cpu{core="10",host="web2"} 2 1700000000000']),
    ],
)
def test_variables_are_filled(client: FlaskClient, text: str, found: list[str]) -> None:
    response = client.post(f"{BASE}/variable", json={"payload": {"target": text}, "range": RANGE})

    assert [one["__value"] for one in response.get_json()] == found


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ({"label": "host", "metric": "cpu"}, ["web.3", "web1", "web2"]),
        ({"label": "host", "where": {"core": ["0", "20"]}}, ["web.3", "web1"]),
        ({"label": "host", "where": {"core": '0"} or up{a="'}}, []),
        ({"where": {"host": "web1"}}, ["cpu"]),
    ],
)
def test_variables_are_filled_by_objects_that_need_no_quotes(
    client: FlaskClient, payload: dict[str, Any], found: list[str]
) -> None:
    response = client.post(f"{BASE}/variable", json={"payload": payload})

    assert [one["__value"] for one in response.get_json()] == found


@pytest.mark.parametrize(
    "payload",
    [
        {"target": "label_value(up, job)"},
        {"target": "label_values()"},
        {"target": 'label_values(up{a="b"} or up, job)'},
        {"target": "metrics(()"},
        {"lable": "host"},
        {"label": "host", "where": ["core"]},
        {"label": "host", "where": {"core": [{}]}},
        {"target": ["up"]},
        ["up"],
    ],
)
def test_a_variable_that_makes_no_sense_is_refused(client: FlaskClient, payload: object) -> None:
    response = client.post(f"{BASE}/variable", json={"payload": payload})

    assert response.status_code == 400
    assert response.get_json()["message"]
