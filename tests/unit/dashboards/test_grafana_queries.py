"""The PromQL of a dashboard, with Grafana's variables put in."""

from __future__ import annotations

import pytest
from tidegauge.dashboards.grafana_import import import_dashboard
from tidegauge.dashboards.grafana_queries import extract_queries, find_fault, find_faults
from tidegauge.dashboards.grafana_variables import fill_in, values_of
from tidegauge.query.parsing import QueryParser

from tests.unit.dashboards.examples import (
    OLD_ROWS,
    PROMETHEUS,
    SHARED,
    dashboard,
    panel,
    variable,
    with_variables,
)

LOKI = {"type": "loki", "uid": "logs"}


@pytest.fixture
def parser() -> QueryParser:
    return QueryParser(max_depth=100)


def texts(document: dict) -> list[str]:
    return [query.text for query in extract_queries(document)]


def test_queries_of_panels_inside_rows_are_found_with_their_place() -> None:
    row = {"type": "row", "collapsed": True, "panels": [panel(3, "b")]}

    found = extract_queries(dashboard(panel(1, "a", "c"), row))

    assert [(query.path, query.text) for query in found] == [
        ("panels[0].targets[0].expr", "a"),
        ("panels[0].targets[1].expr", "c"),
        ("panels[1].panels[0].targets[0].expr", "b"),
    ]


def test_queries_of_old_rows_are_found() -> None:
    assert texts(OLD_ROWS) == ["up", "rate(a[1m])", "b"]


def test_what_goes_to_another_data_source_is_left_out() -> None:
    mixed = panel(1, "up", datasource={"type": "datasource", "uid": "-- Mixed --"})
    mixed["targets"].append({"refId": "B", "expr": '{app="x"}', "datasource": LOKI})
    by_variable = panel(2)
    by_variable["datasource"] = "$logs"
    by_variable["targets"] = [{"expr": '{app="y"} | json'}]
    sources = variable("logs", "datasource", "loki")

    assert texts(with_variables(dashboard(mixed, by_variable), sources)) == ["up"]
    assert texts(SHARED) == ['up{job="$job"}']


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('label_values(up{job=~"a, b"}, instance)', ['up{job=~"a, b"}']),
        ("label_values(instance)", []),
        ("label_names()", []),
        ("metrics(node_.*)", []),
        ("query_result(topk(5, sum by (job) (up)))", ["topk(5, sum by (job) (up))"]),
        ('up{job="a"}', ['up{job="a"}']),
        ({"query": "label_values(up, job)", "refId": "x", "qryType": 1}, ["up"]),
    ],
)
def test_queries_of_variables_are_found(query: object, expected: list[str]) -> None:
    document = with_variables(dashboard(), variable("v", "query", query, datasource=PROMETHEUS))

    assert texts(document) == expected


def test_queries_of_annotations_are_found() -> None:
    annotations = [
        {"name": "old", "datasource": "Prometheus", "expr": "changes(a[1m]) > 0"},
        {"name": "logs", "datasource": LOKI, "expr": '{app="x"}'},
        {"name": "Grafana", "builtIn": 1, "type": "dashboard"},
    ]

    found = texts({**dashboard(), "annotations": {"list": annotations}})

    assert found == ["changes(a[1m]) > 0"]


@pytest.mark.parametrize(
    "query",
    [
        "rate(a[$__rate_interval])",
        "increase(a[${__range_s}s])",
        "avg_over_time(a[$__interval:$step])",
        "max_over_time(a[[[window]]])",
        'up{job="$job", host=~"${host:regex}", zone=~"[[zone]]"}',
        "up{$filter}",
        'up{job="a" $more}',
        'up{job="a", $more}',
        'up{$label=~"b"}',
        "sum by ($group, job) (up)",
        "sum(up) by (${group:csv})",
        "a * on (host) group_left($label) b",
        "${aggregation}(up)",
        "topk($n, up)",
        "up > $threshold",
        "up offset $shift",
        "$metric{job='a'}",
        "rate($metric[5m])",
        "node_${part}_total",
        "$whole",
        'label_replace(up, "a", "$1", "b", "(.*)")',
        'up{job=~"^(a|b)$"}',
        'up{topic!~"SYSTEM|\\\\$SYS.*"}',
    ],
)
def test_variables_are_put_in_so_that_the_query_parses(query: str, parser: QueryParser) -> None:
    assert find_fault(query, {}, parser) is None


def test_a_variable_with_a_known_value_stands_for_it() -> None:
    document = with_variables(
        dashboard(),
        variable("interval", "interval", "1m,5m", current={"value": "$__auto_interval_interval"}),
        variable("agg", "custom", "sum : sum, max", current={"value": "max"}),
        variable("all", "custom", "a,b", current={"value": ["$__all"]}),
        variable("long", current={"value": "x" * 200}),
    )

    values = values_of(document)

    assert values == {"interval": "1m", "agg": "max", "all": "a", "long": ""}
    assert next(iter(fill_in("$agg(rate(a[$interval]))", values))) == "max(rate(a[1m]))"


def test_a_query_that_does_not_parse_is_told_with_its_place(parser: QueryParser) -> None:
    faults = find_faults(dashboard(panel(1, "up", 'sum(up{job="$job"}')), parser)

    assert [fault.query.path for fault in faults] == ["panels[0].targets[1].expr"]
    assert "unclosed left parenthesis" in faults[0].reason


def test_all_queries_of_an_imported_export_parse(parser: QueryParser) -> None:
    taken = import_dashboard(SHARED, inputs={}, datasource_uid="x")

    assert find_faults(taken.document, parser) == []


def test_a_query_with_too_many_variables_is_told(parser: QueryParser) -> None:
    reason = find_fault("$a + " * 60_000 + "1", {}, parser)

    assert reason == "a query may use variables in at most 200 places"
