"""Taking in Grafana dashboards of all ages."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.grafana_import import Imported, import_dashboard
from tidegauge.dashboards.grafana_json import all_panels

from tests.unit.dashboards.examples import OLD_ROWS, SHARED, dashboard, panel


def take(sent: Any, **inputs: str) -> Imported:
    return import_dashboard(sent, inputs=inputs, datasource_uid="tidegauge_prom")


def test_inputs_of_a_shared_export_are_replaced_in_every_string() -> None:
    panels = take(SHARED).document["panels"]

    assert panels[0]["datasource"] == "tidegauge_prom"
    assert panels[0]["title"] == "Of node and ${unknown}"


def test_inputs_that_are_given_go_over_their_defaults() -> None:
    taken = take(SHARED, DS_PROM="mine", VAR_JOB="api", DS_LOGS="logs")

    assert taken.document["panels"][0]["datasource"] == "mine"
    assert taken.document["panels"][2]["datasource"]["uid"] == "logs"
    assert "__inputs" not in taken.document
    assert taken.warnings == []


def test_an_input_without_a_value_stays_declared_and_is_told() -> None:
    taken = take(SHARED)

    assert [one["name"] for one in taken.document["__inputs"]] == ["DS_LOGS"]
    assert taken.document["panels"][2]["datasource"]["uid"] == "${DS_LOGS}"
    assert "DS_LOGS (loki)" in taken.warnings[0]


def test_an_input_that_the_dashboard_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidDashboard, match=r"inputs\.DS_PROMETHEUS"):
        take(SHARED, DS_PROMETHEUS="x")


def test_a_library_panel_is_put_in_its_place() -> None:
    taken = take(SHARED).document["panels"][1]

    assert taken["title"] == "Shared"
    assert taken["targets"][0]["expr"] == "up"
    assert (taken["id"], taken["gridPos"]["y"]) == (2, 8)
    assert "libraryPanel" not in taken


def test_a_library_panel_that_is_not_there_is_told_and_kept() -> None:
    sent = dashboard({"id": 1, "libraryPanel": {"uid": "gone", "name": "Gone"}})

    taken = take(sent)

    assert taken.warnings == ["panels[0]: the dashboard does not bring its library panel gone"]
    assert taken.document["panels"][0]["libraryPanel"]["uid"] == "gone"


def test_old_rows_come_onto_the_grid_as_grafana_puts_them() -> None:
    document = take(OLD_ROWS).document
    places = {one["id"]: one["gridPos"] for _, one in all_panels(document)}

    assert "rows" not in document
    assert [one["type"] for one in document["panels"]] == [
        "row",
        "singlestat",
        "graph",
        "graph",
        "row",
    ]
    # 250 pixels are 7 lines of 38; the third panel finds no room beside the others.
    assert places[1] == {"x": 0, "y": 1, "w": 6, "h": 7}
    assert places[2] == {"x": 6, "y": 1, "w": 12, "h": 7}
    assert places[3] == {"x": 0, "y": 8, "w": 12, "h": 10}
    second = document["panels"][4]
    assert (second["title"], second["collapsed"], second["repeat"]) == ("Second", True, "host")
    assert second["gridPos"]["y"] == 18
    assert [one["id"] for one in second["panels"]] == [4]


def test_rows_without_titles_leave_no_row_panels_behind() -> None:
    sent = {"title": "Plain", "rows": [{"panels": [{"id": 1, "span": 12}]}]}

    assert [one["id"] for one in take(sent).document["panels"]] == [1]


def test_panels_without_an_id_of_their_own_get_one() -> None:
    sent = dashboard(panel(7), {"type": "text"}, panel(7), {"type": "row", "panels": [{"id": 0}]})

    numbers = [one["id"] for _, one in all_panels(take(sent).document)]

    assert numbers == [7, 8, 9, 10, 11]


def test_what_is_sent_is_left_as_it_is() -> None:
    before = copy.deepcopy(OLD_ROWS)

    take(OLD_ROWS)

    assert before == OLD_ROWS


@pytest.mark.parametrize(
    "sent",
    [
        {"dashboard": dashboard(panel(1)), "overwrite": True},
        {
            "apiVersion": "dashboard.grafana.app/v1beta1",
            "kind": "Dashboard",
            "metadata": {"name": "x"},
            "spec": dashboard(panel(1)),
        },
    ],
)
def test_a_wrapped_dashboard_is_unwrapped(sent: Any) -> None:
    assert take(sent).document["title"] == "Example"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([], "JSON object"),
        ({"panels": []}, "needs a title"),
        ({"title": "x", "panels": {}}, "panels: a list is wanted, not dict"),
        ({"title": "x", "templating": []}, "templating: an object is wanted"),
        ({"kind": "Dashboard", "spec": {"elements": {}, "layout": {}}}, "version 2"),
    ],
)
def test_what_is_no_classic_dashboard_is_refused_with_the_reason(sent: Any, reason: str) -> None:
    with pytest.raises(InvalidDashboard, match=reason):
        take(sent)


def test_a_dashboard_that_nests_too_deep_is_refused() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]

    with pytest.raises(InvalidDashboard, match="100 levels"):
        take({"title": "deep", "panels": deep})


@pytest.mark.parametrize("odd", [None, "x", 5, [1], {"a": None}])
@pytest.mark.parametrize(
    "key", ["__inputs", "__elements", "annotations", "links", "time", "refresh", "schemaVersion"]
)
def test_odd_values_where_grafana_has_others_do_no_harm(key: str, odd: Any) -> None:
    document = take({**dashboard(panel(1, "up")), key: odd}).document

    assert document["panels"][0]["targets"][0]["expr"] == "up"
