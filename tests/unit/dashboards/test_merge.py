"""Edits put over a new edition of a file."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tidegauge.dashboards.merge import merge

from tests.unit.dashboards.examples import dashboard, panel, variable, with_variables

BASE = with_variables(
    dashboard(panel(1, "a"), panel(2, "b", "c"), tags=["x"], time={"from": "now-1h"}),
    variable("job", query="up"),
)


def with_query(document: Any, number: int, query: str, target: int = 0) -> Any:
    changed = copy.deepcopy(document)
    for one in changed["panels"]:
        if one["id"] == number:
            one["targets"][target]["expr"] = query
    return changed


def test_without_edits_the_new_file_counts() -> None:
    new = with_query(BASE, 1, "new")

    assert merge(BASE, BASE, new).document == new


def test_with_the_same_file_the_edits_count() -> None:
    edited = with_query(BASE, 1, "edited")

    assert merge(BASE, edited, BASE).document == edited


def test_edits_and_news_in_different_places_come_together() -> None:
    edited = {**with_query(BASE, 2, "edited", target=1), "title": "Edited"}
    new = with_query({**BASE, "refresh": "1m"}, 2, "new")

    merged = merge(BASE, edited, new)

    assert merged.conflicts == []
    assert (merged.document["title"], merged.document["refresh"]) == ("Edited", "1m")
    assert [one["expr"] for one in merged.document["panels"][1]["targets"]] == ["new", "edited"]


def test_where_both_changed_the_edit_stays_and_is_told() -> None:
    merged = merge(BASE, with_query(BASE, 1, "edited"), with_query(BASE, 1, "new"))

    assert merged.conflicts == ["panels[1].targets[A].expr"]
    assert merged.document["panels"][0]["targets"][0]["expr"] == "edited"


def test_the_same_change_on_both_sides_is_none_to_tell() -> None:
    changed = with_query(BASE, 1, "same")

    assert merge(BASE, changed, changed) == merge(changed, changed, changed)


def test_panels_that_were_added_on_either_side_are_there() -> None:
    edited = {**BASE, "panels": [*BASE["panels"], panel(8, "edited")]}
    new = {**BASE, "panels": [panel(9, "new"), *BASE["panels"]]}

    merged = merge(BASE, edited, new)

    assert [one["id"] for one in merged.document["panels"]] == [9, 1, 2, 8]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_panel_that_one_side_took_away_is_gone(swapped: bool) -> None:
    without = {**BASE, "panels": BASE["panels"][:1]}
    other = {**BASE, "title": "Other"}
    edited, new = (other, without) if swapped else (without, other)

    merged = merge(BASE, edited, new)

    assert [one["id"] for one in merged.document["panels"]] == [1]
    assert merged.document["title"] == "Other"


def test_a_panel_that_one_side_took_away_and_the_other_changed_is_told() -> None:
    without = {**BASE, "panels": BASE["panels"][:1]}
    changed = with_query(BASE, 2, "x")

    gone, kept = merge(BASE, without, changed), merge(BASE, changed, without)

    assert (gone.conflicts, len(gone.document["panels"])) == (["panels[2]"], 1)
    assert (kept.conflicts, len(kept.document["panels"])) == (["panels[2]"], 2)


def test_lists_whose_parts_have_no_names_are_one_place() -> None:
    merged = merge(BASE, {**BASE, "tags": ["x", "y"]}, {**BASE, "tags": ["z"]})

    assert (merged.document["tags"], merged.conflicts) == (["x", "y"], ["tags"])


def test_a_place_that_changed_its_kind_is_a_conflict() -> None:
    merged = merge(BASE, {**BASE, "time": "odd"}, {**BASE, "time": {"from": "now-2h"}})

    assert (merged.document["time"], merged.conflicts) == ("odd", ["time"])
