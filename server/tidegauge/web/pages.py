"""Lists a page at a time: `after` is the id of the last one seen, `limit` how many are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegauge.web.params import read_params

DEFAULT_ROWS = 100
MOST_ROWS = 1000
_HIGHEST_ID = 2**63 - 1

PAGE: Mapping[str, Mapping[str, object]] = {
    "after": {"type": "integer", "minimum": 0, "description": "the last id that was seen"},
    "limit": {"type": "integer", "minimum": 0, "maximum": MOST_ROWS},
}
"""The query parameters of a list, as the reference tells them."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted.

    Args:
        after: the id of the last row that was seen; 0: from the first one.
        limit: at most so many rows.
    """

    after: int
    limit: int

    def body(self, rows: Sequence[dict[str, object]]) -> dict[str, object]:
        """Return the answer: the rows, and what to ask with next; None where there is no more."""
        full = len(rows) == self.limit
        return {"data": list(rows), "next_after": rows[-1]["id"] if full else None}


def read_page() -> Page:
    """Return the page that the request wants.

    Raises:
        InvalidParameter: `after` or `limit` is no number of that kind.
    """
    params = read_params()
    limit = params.count("limit", default=DEFAULT_ROWS, high=MOST_ROWS) or DEFAULT_ROWS
    return Page(after=params.count("after", high=_HIGHEST_ID), limit=limit)
