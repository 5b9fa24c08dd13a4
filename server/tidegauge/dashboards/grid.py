"""The grid that panels lie on: 24 columns, as many lines as are needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

COLUMNS = 24
MAX_LINES = 10_000
"""How far down a panel may reach; Grafana draws a line 38 pixels high."""
MAX_HEIGHT = 100


@dataclass(frozen=True, slots=True)
class Position:
    """A rectangle on the grid, in cells; x and y from the top left."""

    x: int
    y: int
    w: int
    h: int

    def overlaps(self, other: Position) -> bool:
        """Return whether two rectangles have a cell in common."""
        return (
            self.x < other.x + other.w
            and other.x < self.x + self.w
            and self.y < other.y + other.h
            and other.y < self.y + self.h
        )

    def fault(self) -> str | None:
        """Return what is wrong with it, or None."""
        if self.w < 1 or self.h < 1:
            return f"w and h are at least 1, not {self.w} and {self.h}"
        if self.x < 0 or self.y < 0:
            return f"x and y are not negative: {self.x} and {self.y}"
        if self.x + self.w > COLUMNS:
            return f"x + w is {self.x + self.w}; the grid has {COLUMNS} columns"
        if self.h > MAX_HEIGHT:
            return f"h is {self.h}; a panel is at most {MAX_HEIGHT} high"
        if self.y + self.h > MAX_LINES:
            return f"y + h is {self.y + self.h}; the grid has {MAX_LINES} lines"
        return None


def find_collisions(places: Iterable[tuple[int, Position]]) -> set[tuple[int, int]]:
    """Return the pairs of ids, the smaller one first, whose rectangles overlap.

    Args:
        places: ids with their rectangles.
    """
    found = set()
    active: list[tuple[int, Position]] = []
    for number, place in sorted(places, key=lambda one: (one[1].y, one[1].x)):
        active = [one for one in active if one[1].y + one[1].h > place.y]
        found |= {
            (min(number, other), max(number, other))
            for other, there in active
            if there.overlaps(place)
        }
        active.append((number, place))
    return found


def find_room(places: Iterable[Position], w: int, h: int) -> Position:
    """Return the topmost free place of this size, the leftmost of these.

    Args:
        places: the rectangles that are taken.
        w, h: cells; w at most COLUMNS.
    """
    taken = list(places)
    lines = sorted({0, *(place.y + place.h for place in taken)})
    for y in lines:
        for x in sorted({0, *(place.x + place.w for place in taken if place.y < y + h)}):
            wanted = Position(x, y, w, h)
            if x + w <= COLUMNS and not any(wanted.overlaps(place) for place in taken):
                return wanted
    raise AssertionError("below all of them there is always room")
