"""Dashboards as the API shows them, and changes put back into Grafana's JSON."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tidegauge.dashboards.dashboard_view import NEW, apply_dashboard, view_dashboard
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.grafana_diff import diff_dashboards
from tidegauge.dashboards.grafana_import import import_dashboard
from tidegauge.dashboards.kinds import KINDS, kind_of, with_kind

from tests.unit.dashboards.examples import (
    OLD_ROWS,
    PROMETHEUS,
    dashboard,
    panel,
    variable,
    with_variables,
)

Json = dict[str, Any]
PLACE = {"x": 0, "y": 0, "w": 12, "h": 8}


def apply(document: Json, fields: Json, last_panel: int = 0) -> Json:
    return apply_dashboard(document, fields, datasource=PROMETHEUS, last_panel=last_panel)


def paths(old: Json, new: Json) -> list[str]:
    return [change.path for change in diff_dashboards(old, new)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_panel_of_each_type_is_shown_as_it_was_made(kind: str) -> None:
    sent = {
        "type": kind,
        "title": "Load",
        "description": "of hosts",
        "position": PLACE,
        "query": "up",
        "legend": "{{host}}",
        "more_queries": [{"query": "down", "hidden": True}],
        "unit": "percent",
        "min": 0,
        "max": 100,
        "decimals": 1,
        "thresholds": [{"value": None, "color": "green"}, {"value": 80, "color": "red"}],
    }

    shown = view_dashboard(apply(NEW, {"panels": [sent]}, last_panel=4))["panels"][0]

    second = {"ref": "B", "query": "down", "legend": "__auto", "hidden": True}
    assert shown == {
        **sent,
        "id": 5,
        "row": None,
        "more_queries": [second],
        "stacked": "none" if kind in ("line", "area", "bar") else None,
    }


def test_what_grafana_is_told_of_each_type() -> None:
    made = {
        kind: apply(NEW, {"panels": [{"type": kind, "position": PLACE, "query": "up"}]})["panels"][
            0
        ]
        for kind in KINDS
    }

    assert {kind: one["type"] for kind, one in made.items()} == {
        "line": "timeseries",
        "area": "timeseries",
        "bar": "timeseries",
        "gauge": "gauge",
        "stat": "stat",
        "table": "table",
        "heatmap": "heatmap",
    }
    assert made["bar"]["fieldConfig"]["defaults"]["custom"]["drawStyle"] == "bars"
    asked = {kind: one["targets"][0] for kind, one in made.items()}
    assert (asked["table"]["format"], asked["table"]["instant"]) == ("table", True)
    assert (asked["heatmap"]["format"], asked["heatmap"]["range"]) == ("heatmap", True)
    assert {target["datasource"]["uid"] for target in asked.values()} == {"prom"}


def test_a_change_of_one_thing_changes_nothing_else() -> None:
    held = with_variables(
        dashboard(
            panel(1, "a", transformations=[{"id": "organize"}], somethingNew={"x": [1]}),
            panel(2, "b"),
        ),
        variable("job", query={"query": "label_values(up, job)", "refId": "x"}),
    )
    sent = view_dashboard(held)
    sent["panels"][0]["query"] = "rate(a[1m])"
    sent["variables"][0]["query"] = "label_values(a, job)"

    made = apply(held, sent)

    assert paths(held, made) == [
        "panels[1].targets[A].expr",
        "templating.list[job].definition",
        "templating.list[job].query.query",
    ]


def test_fields_that_are_not_sent_stay() -> None:
    held = dashboard(panel(1, "a"), tags=["x"], description="old")

    assert paths(held, apply(held, {"title": "New"})) == ["title"]


def test_panels_are_added_changed_and_taken_away() -> None:
    held = dashboard(panel(1, "a"), panel(2, "b"))
    new = {"type": "stat", "position": {"x": 12, "y": 8, "w": 12, "h": 8}, "query": "c"}

    made = apply(held, {"panels": [{"id": 1, "title": "Other"}, new]}, last_panel=9)

    assert [(one["id"], one["title"]) for one in made["panels"]] == [(1, "Other"), (10, "")]


@pytest.mark.parametrize(
    ("panels", "reason"),
    [
        ([{"id": 7}], "panels[0].id: there is no panel 7"),
        ([{"id": 1}, {"id": 1}], "panel 1 stands there twice"),
        ([{"type": "piechart"}], '"piechart" is none of line, area'),
        ([{"id": 1, "type": "nonsense"}], 'cannot become "nonsense"'),
        ([{"id": 2, "unit": "bytes"}], "a text panel has no unit"),
        ([{"id": 4}], "panel 4 lies in row 3, which the list leaves out"),
        ([{"id": 3, "query": "up"}], "a row asks nothing"),
    ],
)
def test_a_change_that_cannot_be_is_refused(panels: list[Json], reason: str) -> None:
    row = {"id": 3, "type": "row", "collapsed": True, "panels": [panel(4, "d")]}
    held = dashboard(panel(1, "a"), panel(2, type="text"), row)

    with pytest.raises(InvalidDashboard) as raised:
        apply(held, {"panels": panels})

    assert reason in raised.value.message


def test_panels_of_other_types_are_shown_and_kept() -> None:
    held = dashboard(panel(1, type="piechart", options={"pieType": "donut"}))
    sent = view_dashboard(held)
    assert sent["panels"][0]["type"] == "piechart"

    sent["panels"][0]["title"] = "Shares"

    assert paths(held, apply(held, sent)) == ["panels[1].title"]


def test_a_panel_inside_a_collapsed_row_is_shown_with_the_row_and_changed_in_it() -> None:
    row = {"id": 3, "type": "row", "collapsed": True, "panels": [panel(4, "d")]}
    sent = view_dashboard(dashboard(row))

    assert [(one["id"], one["row"]) for one in sent["panels"]] == [(3, None), (4, 3)]
    sent["panels"][1]["query"] = "e"
    made = apply(dashboard(row), sent)
    assert made["panels"][0]["panels"][0]["targets"][0]["expr"] == "e"


def test_a_target_of_another_data_source_stays_where_it_is() -> None:
    held = dashboard(panel(1, "a"))
    held["panels"][0]["targets"].insert(0, {"refId": "Z", "rawSql": "select 1"})

    made = apply(held, {"panels": [{"id": 1, "more_queries": [{"query": "b"}, {"query": "c"}]}]})

    assert [one["refId"] for one in made["panels"][0]["targets"]] == ["A", "B", "C", "Z"]


def test_old_panels_are_shown_as_what_they_became_and_stay_what_they_are() -> None:
    held = dashboard(
        panel(
            1,
            "a",
            type="graph",
            bars=True,
            lines=False,
            stack=True,
            yaxes=[{"format": "bytes", "min": "0"}, {}],
            seriesOverrides=[{"alias": "x", "yaxis": 2}],
        ),
        panel(
            2,
            "b",
            type="singlestat",
            format="s",
            thresholds="10,20",
            colors=["g", "o", "r"],
            gauge={"show": True, "maxValue": 50},
        ),
        panel(3, "c", type="table-old"),
    )
    sent = view_dashboard(held)
    first, second, third = sent["panels"]

    assert (first["type"], first["stacked"], first["unit"], first["min"]) == (
        "bar",
        "normal",
        "bytes",
        0,
    )
    assert (second["type"], second["unit"], second["max"]) == ("gauge", "s", 50)
    assert [step["value"] for step in second["thresholds"]] == [None, 10, 20]
    assert third["type"] == "table"
    first["title"] = "Bytes"
    assert paths(held, apply(held, sent)) == ["panels[1].title"]


def test_an_old_panel_becomes_a_new_one_when_its_display_is_changed() -> None:
    held = dashboard(panel(1, "a", type="graph", aliasColors={"x": "red"}))

    made = apply(held, {"panels": [{"id": 1, "unit": "s"}]})["panels"][0]

    assert (made["type"], made["fieldConfig"]["defaults"]["unit"]) == ("timeseries", "s")
    assert made["fieldConfig"]["overrides"][0]["matcher"] == {"id": "byName", "options": "x"}
    assert made["targets"][0]["expr"] == "a"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("before", ["graph", "singlestat", "table-old", "piechart", "barchart"])
def test_any_panel_may_become_one_of_each_type(before: str, kind: Any) -> None:
    made = with_kind(panel(1, "a", type=before), kind)

    assert kind_of(made) == kind
    assert made["targets"][0]["expr"] == "a"


def test_variables_are_added_changed_and_taken_away() -> None:
    held = with_variables(dashboard(), variable("a", regex="/x/"), variable("b", "custom", "1,2"))
    sent = [
        {"name": "b", "query": "1,2,3", "multi": True},
        {"name": "c", "type": "textbox", "hidden": True},
    ]

    made = apply(held, {"variables": sent})["templating"]["list"]

    assert [(one["name"], one["type"], one["query"]) for one in made] == [
        ("b", "custom", "1,2,3"),
        ("c", "textbox", ""),
    ]
    assert (made[0]["multi"], made[1]["hide"]) == (True, 2)


def test_variables_of_one_name_in_a_shared_dashboard_stay() -> None:
    held = with_variables(dashboard(), variable("a", query="x"), variable("a", query="y"))
    sent = view_dashboard(held)
    sent["variables"].append({"name": "b", "type": "custom", "query": "1"})

    made = apply(held, sent)["templating"]["list"]

    assert [one["query"] for one in made] == ["x", "y", "1"]
    with pytest.raises(InvalidDashboard, match="stands there twice"):
        apply(dashboard(), {"variables": [{"name": "n"}, {"name": "n"}]})


def test_old_rows_are_shown_on_the_grid() -> None:
    taken = import_dashboard(copy.deepcopy(OLD_ROWS), inputs={}, datasource_uid="x").document

    shown = view_dashboard(taken)["panels"]

    assert [(one["type"], one["position"]["y"]) for one in shown] == [
        ("row", 0),
        ("stat", 1),
        ("line", 1),
        ("line", 8),
        ("row", 18),
        ("table", 19),
    ]
