"""Rectangles on the grid."""

from __future__ import annotations

import pytest
from tidegauge.dashboards.grid import Position, find_collisions, find_room


def test_touching_panels_do_not_collide() -> None:
    places = [(1, Position(0, 0, 12, 8)), (2, Position(12, 0, 12, 8)), (3, Position(0, 8, 24, 1))]

    assert find_collisions(places) == set()


def test_panels_with_a_common_cell_collide() -> None:
    places = [(5, Position(0, 0, 13, 8)), (2, Position(12, 7, 12, 8)), (3, Position(0, 8, 12, 8))]

    assert find_collisions(places) == {(2, 5)}


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (Position(0, 0, 0, 1), "at least 1"),
        (Position(-1, 0, 1, 1), "not negative"),
        (Position(20, 0, 5, 1), "x + w is 25; the grid has 24"),
        (Position(0, 0, 1, 101), "at most 100"),
        (Position(0, 9_999, 1, 2), "10000 lines"),
    ],
)
def test_a_place_outside_the_grid_is_told(place: Position, reason: str) -> None:
    assert reason in (place.fault() or "")


def test_a_place_inside_the_grid_has_no_fault() -> None:
    assert Position(20, 0, 4, 100).fault() is None


def test_room_is_found_beside_then_below() -> None:
    assert find_room([], 12, 8) == Position(0, 0, 12, 8)
    assert find_room([Position(0, 0, 12, 8)], 12, 8) == Position(12, 0, 12, 8)
    assert find_room([Position(0, 0, 12, 8), Position(12, 0, 12, 4)], 24, 8) == Position(
        0, 8, 24, 8
    )
