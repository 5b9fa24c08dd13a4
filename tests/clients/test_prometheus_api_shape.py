"""The same requests to a real Prometheus and to Tidegauge: same statuses, key order and bodies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.pair import Ask, Pair, formatted, in_order, instant, matching, over, posted

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

LONG = "a_rather_long_name_of_a_metric_that_fills_a_line_with_others{label='value'}"
LAYOUTS = [
    "1",
    "sum(  a ) by (b,c)",
    f"{LONG} + {LONG}",
    f"{LONG} + on (a) group_left(b) {LONG} * {LONG} - 1",
    f"{LONG} + (1 + -{LONG} and ({LONG} unless {LONG}))",
    f"topk(5, sum without (a, b) (rate({LONG}[5m] offset 1m)) == bool {LONG})",
    f"label_replace(rate({LONG}[5m]), 'long_label_name', '$1', 'other', '(.*)') > 0",
    f"max_over_time((sum({LONG}) + {LONG})[30m:1m] offset -5m) or vector(0)",
    f"max_over_time(a[30m:1m]) + {LONG} + {LONG}",
    f"-(abs({LONG} - {LONG}))",
    f"{LONG} @ 1609746000 + {LONG} @ end()",
]

# Windows end 7 s off the samples: Prometheus 2 has windows closed on the left, 3 open ones.
SAME_ANSWERS = [
    instant("1+1", "4"),
    posted(instant("1+1", "4")),
    instant('"text"'),
    instant("nothing"),
    instant("http_requests_total"),
    instant("http_requests_total[1m]", "$END-7"),
    instant("http_requests_total", "2015-07-01T20:10:51.781Z"),
    instant("special"),
    instant("temperature"),
    instant("sum by (job) (rate(http_requests_total[2m]))", "$END-7"),
    instant("time()", "1e3"),
    instant("time()", "-5.5"),
    instant("vector(1e-7) or vector(1e21) + 1", "4"),
    instant("1", "4", timeout="1m0s"),
    instant("max_over_time(temperature[3m:30s])", "$END-7"),
    instant("histogram_quantile(0.9, lat_bucket)"),
    over("http_requests_total"),
    posted(over("temperature")),
    over("1"),
    over("nothing"),
    over("time()", step="1m0s"),
    over("time()", start="$END-2", step="0.5"),
    over("special == special"),
    over("1", start="0", end="11000", step="1"),
    Ask("labels"),
    Ask("labels", method="POST"),
    matching("labels", "temperature"),
    matching("labels", "temperature", "special"),
    matching("labels", "temperature", start="$END-1000", end="$END"),
    Ask("label/__name__/values"),
    Ask("label/job/values"),
    Ask("label/nolabel/values"),
    matching("label/job/values", "temperature"),
    matching("label/room/values", 'temperature{room="a"}', "special"),
    matching("series", "temperature"),
    posted(matching("series", "temperature", "special")),
    matching("series", "nothing"),
    Ask("metadata"),
    Ask("metadata", {"metric": "nothing"}),
    Ask("metadata", {"limit": "5", "limit_per_metric": "1", "metric": "nothing"}),
    Ask("rules"),
    Ask("rules", {"type": "alert", "rule_name[]": "a", "file[]": "b", "rule_group[]": ["c", "d"]}),
    Ask("rules", {"type": "record"}),
    Ask("alerts"),
    *(formatted(query) for query in LAYOUTS),
    posted(formatted("sum(a)by(b)")),
    Ask("query_exemplars", {"query": "test", "start": "$END", "end": "$END"}),
    Ask("query_exemplars", {"query": "test", "start": "1700000000000", "end": "1700000000001"}),
]

SAME_FAULTS = [
    Ask("query"),
    instant("sum("),
    instant("foo{"),
    instant("rate(http_requests_total)"),
    instant('foo{a=~"("}'),
    instant('{__name__=~".*"}'),
    instant("up", "yesterday"),
    instant("1", timeout="abc"),
    instant("http_requests_total * on (job) http_requests_total"),
    instant('label_replace(http_requests_total, "a", "$1", "b", "(")'),
    instant("topk(NaN, http_requests_total)"),
    over(""),
    over("sum("),
    over("http_requests_total[1m]"),
    over('"text"'),
    over("1", step="0"),
    over("1", step="-1"),
    over("1", step="x"),
    over("1", end="$END-301"),
    over("1", start="0", end="11001", step="1"),
    over("http_requests_total * on (job) http_requests_total"),
    Ask("query_range", {"query": "1", "end": "$END", "step": "1"}),
    Ask("query_range", {"query": "1", "start": "$END", "step": "1"}),
    Ask("query_range", {"query": "1", "start": "$END", "end": "$END"}),
    Ask("labels", {"start": "x"}),
    matching("labels", "{"),
    matching("labels", ""),
    matching("labels", 'a=""'),
    matching("labels", '{a=~".*"}'),
    matching("labels", "sum(a)"),
    matching("labels", "a[1m]"),
    matching("label/room/values", '{room=""}'),
    Ask("series"),
    matching("series", "temp{"),
    matching("series", "temperature", '{x=""}'),
    matching("series", "temperature", start="x"),
    Ask("metadata", {"limit": "x"}),
    Ask("rules", {"type": "recording"}),
    formatted("sum("),
    formatted(""),
    Ask("query_exemplars", {"query": "sum("}),
    Ask("query_exemplars", {"query": "a", "start": "$END", "end": "$END-1"}),
    Ask("query_exemplars", {"query": "a", "start": "x"}),
]

# Prometheus has no JSON body for these; Grafana wants one (grafana-contract §0).
SAME_STATUS = [
    Ask("label/room/values", method="POST"),
    Ask("metadata", method="POST"),
    Ask("status/buildinfo", method="POST"),
    Ask("query", method="PUT"),
    Ask("write"),
    Ask("read"),
    Ask("rules", method="POST"),
    Ask("alerts", method="POST"),
    Ask("format_query", method="DELETE"),
    Ask("nothing"),
]


def shape(value: Any) -> Any:
    """Return a JSON value with its objects as lists of pairs, so that the order of keys counts."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    return [shape(inner) for inner in value] if isinstance(value, list) else value


def same_notes(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return our body without the notes that Prometheus 2 does not make."""
    notes = {"infos", "warnings"} - set(theirs)
    return {key: value for key, value in ours.items() if key not in notes}


@pytest.mark.parametrize("ask", SAME_ANSWERS, ids=str)
def test_answers_have_the_same_body(pair: Pair, ask: Ask) -> None:
    theirs, ours = pair.ask(ask)

    assert theirs.status_code == 200, theirs.text
    assert ours.status_code == 200, ours.text
    assert ours.headers["Content-Type"] == theirs.headers["Content-Type"]
    wanted = in_order(theirs.json())
    assert shape(in_order(same_notes(ours.json(), wanted))) == shape(wanted)


@pytest.mark.parametrize("ask", SAME_FAULTS, ids=str)
def test_faults_have_the_same_status_keys_and_type(pair: Pair, ask: Ask) -> None:
    theirs, ours = pair.ask(ask)

    assert theirs.status_code >= 400, theirs.text
    assert ours.status_code == theirs.status_code, ours.text
    assert list(ours.json()) == list(theirs.json()) == ["status", "errorType", "error"]
    assert ours.json()["status"] == theirs.json()["status"] == "error"
    assert ours.json()["errorType"] == theirs.json()["errorType"]


@pytest.mark.parametrize("ask", SAME_STATUS, ids=str)
def test_paths_and_methods_have_the_same_status_and_a_json_body(pair: Pair, ask: Ask) -> None:
    theirs, ours = pair.ask(ask)

    assert theirs.status_code in (404, 405)
    assert ours.status_code == theirs.status_code
    assert list(ours.json()) == ["status", "errorType", "error"]


def test_build_information_has_the_same_fields(pair: Pair) -> None:
    theirs, ours = pair.ask(Ask("status/buildinfo"))

    assert list(ours.json()["data"]) == list(theirs.json()["data"])


def test_statistics_have_the_same_fields_and_are_asked_for(pair: Pair) -> None:
    theirs, ours = pair.ask(over("temperature", stats="true"))
    data, wanted = ours.json()["data"], theirs.json()["data"]

    assert list(data) == list(wanted) == ["resultType", "result", "stats"]
    assert list(data["stats"]) == list(wanted["stats"]) == ["timings", "samples"]
    assert list(data["stats"]["timings"]) == list(wanted["stats"]["timings"])
    counted = list(wanted["stats"]["samples"])
    # Prometheus 2 does not say how many were read.
    assert [name for name in data["stats"]["samples"] if name in counted] == counted
    assert data["stats"]["samples"]["samplesRead"] > 0


@pytest.mark.parametrize("query", [*LAYOUTS, "", "sum("])
def test_syntax_trees_are_the_same(pair: Pair, query: str) -> None:
    theirs, ours = pair.ask(Ask("parse_query", {"query": query}))
    if theirs.status_code == 404:
        pytest.skip("Prometheus 2 has no parse_query; TIDEGAUGE_TEST_PROMETHEUS names a newer one")

    assert ours.status_code == theirs.status_code
    assert shape(ours.json()) == shape(theirs.json())
