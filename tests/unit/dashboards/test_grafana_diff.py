"""What two dashboards differ in, noise left out."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tidegauge.dashboards.grafana_diff import MAX_CHANGES, Change, diff_dashboards
from tidegauge.dashboards.grafana_import import import_dashboard

from tests.unit.dashboards.examples import (
    OLD_ROWS,
    PROMETHEUS,
    dashboard,
    panel,
    variable,
    with_variables,
)


def changed(document: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**copy.deepcopy(document), **more}


BASE = dashboard(panel(1, "a"), panel(2, "b"), time={"from": "now-1h", "to": "now"})


@pytest.mark.parametrize(
    "noise",
    [
        {"id": 7, "version": 12, "iteration": 5},
        {"schemaVersion": 41},
        {"editable": True, "graphTooltip": 0, "links": [], "description": "", "liveNow": False},
        {"templating": {"list": []}, "annotations": {"list": []}},
    ],
)
def test_noise_is_no_change(noise: dict[str, Any]) -> None:
    assert diff_dashboards(BASE, changed(BASE, **noise)) == []
    assert diff_dashboards(changed(BASE, **noise), BASE) == []


def test_order_of_keys_is_no_change() -> None:
    assert diff_dashboards(BASE, dict(reversed(BASE.items()))) == []


def test_a_change_says_path_old_and_new() -> None:
    new = copy.deepcopy(BASE)
    new["panels"][1]["targets"][0]["expr"] = "c"
    new["time"]["from"] = "now-6h"

    assert diff_dashboards(BASE, new) == [
        Change("panels[2].targets[A].expr", "b", "c"),
        Change("time.from", "now-1h", "now-6h"),
    ]


def test_panels_are_told_apart_by_id_wherever_they_stand() -> None:
    new = changed(BASE, panels=list(reversed(BASE["panels"])))
    gone = changed(BASE, panels=BASE["panels"][:1])

    assert diff_dashboards(BASE, new) == []
    assert [(one.path, one.new) for one in diff_dashboards(BASE, gone)] == [("panels[2]", None)]


def test_variables_are_told_apart_by_name() -> None:
    old = with_variables(BASE, variable("a", query="x"), variable("b", query="y"))
    new = with_variables(BASE, variable("b", query="z"), variable("a", query="x"))

    assert diff_dashboards(old, new) == [Change("templating.list[b].query", "y", "z")]


def test_a_data_source_by_uid_and_by_object_is_the_same() -> None:
    old, new = dashboard(panel(1, "a")), dashboard(panel(1, "a"))
    old["panels"][0]["datasource"] = PROMETHEUS["uid"]

    assert diff_dashboards(old, new) == []
    new["panels"][0]["datasource"] = {"type": "prometheus", "uid": "other"}
    assert [one.path for one in diff_dashboards(old, new)] == ["panels[1].datasource"]


def test_false_where_grafana_takes_true_is_a_change() -> None:
    assert diff_dashboards(BASE, changed(BASE, editable=False)) == [Change("editable", None, False)]


def test_true_is_not_one() -> None:
    assert diff_dashboards(changed(BASE, x=1), changed(BASE, x=True)) == [Change("x", 1, True)]


def test_old_rows_and_the_grid_they_become_are_the_same() -> None:
    taken = import_dashboard(OLD_ROWS, inputs={}, datasource_uid="x").document

    assert diff_dashboards(OLD_ROWS, taken) == []


@pytest.mark.parametrize(
    ("row", "key", "value"), [(0, "title", "Other"), (1, "repeat", "job"), (1, "collapse", False)]
)
def test_a_change_of_an_old_row_is_seen(row: int, key: str, value: object) -> None:
    new = copy.deepcopy(OLD_ROWS)
    new["rows"][row][key] = value

    taken = import_dashboard(new, inputs={}, datasource_uid="x").document

    assert diff_dashboards(OLD_ROWS, taken) != []


def test_a_lost_panel_of_an_old_row_is_seen() -> None:
    taken = import_dashboard(OLD_ROWS, inputs={}, datasource_uid="x").document
    del taken["panels"][1]

    assert [one.path for one in diff_dashboards(OLD_ROWS, taken)] == ["panels[1]"]


def test_so_many_changes_are_told_and_no_more() -> None:
    new = changed(BASE, **{f"key{number}": "x" for number in range(MAX_CHANGES + 5)})

    assert len(diff_dashboards(BASE, new)) == MAX_CHANGES
