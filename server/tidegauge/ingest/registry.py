"""Remembers series by the form in which their labels arrive, so that no label is decoded twice.

A series is kept under the very bytes of its label set on the wire (or, for JSON, under its name
and the text of its tags): a known series costs one look-up, and no string is made. Its id and
metric id travel as one integer, so that a request's ids become one array.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

import numpy as np

from tidegauge.storage.protocol import SeriesKey

_ID_BITS = 32
# The room of a generation is this times its series: label sets are shorter as a rule, and a
# sender that writes them at any length must not fill the memory.
FORM_BYTES = 1024
_LONGEST_FORM_BYTES = 64 * 1024


def pack_key(key: SeriesKey) -> int:
    """Return series id and metric id as one positive integer."""
    return key.series_id << _ID_BITS | key.metric_id


def unpack_ids(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (series ids, metric ids), int32, of packed keys, int64, shape (n,)."""
    halves = np.ascontiguousarray(packed, "<i8").view("<i4").reshape(-1, 2)
    return halves[:, 1].copy(), halves[:, 0].copy()


class SeriesRegistry:
    """A bounded memory of series in two generations; safe from any number of threads.

    When the young generation is full it becomes the old one, and the old one is forgotten; what
    is found in the old one moves to the young. So what is in use stays, without bookkeeping on
    the way.

    Args:
        max_series: the size of one generation, which also ends at FORM_BYTES for each of these.
    """

    def __init__(self, *, max_series: int) -> None:
        self._max_series = max_series
        self._rotation = threading.Lock()
        self._young: dict[Hashable, int] = {}
        self._old: dict[Hashable, int] = {}
        self._young_bytes = 0

    def young_lookup(self) -> Callable[..., int]:
        """Return `dict.get` of the young generation, for loops where a call more would cost.

        What it does not find may still be in the old generation: ask `find` then.
        """
        return self._young.get

    def find(self, form: Hashable) -> int:
        """Return the packed key of a series, or 0."""
        known = self._young.get(form, 0)
        if known:
            return known
        known = self._old.get(form, 0)
        if known:
            self.learn(form, known)
        return known

    def learn(self, form: Hashable, packed: int) -> None:
        """Remember a series, unless its form is too long to be worth it."""
        size = _size_of(form)
        if size > _LONGEST_FORM_BYTES:
            return
        with self._rotation:
            if form not in self._young:
                if (
                    len(self._young) >= self._max_series
                    or self._young_bytes >= self._max_series * FORM_BYTES
                ):
                    self._old, self._young, self._young_bytes = self._young, {}, 0
                self._young_bytes += size
            self._young[form] = packed

    def size(self) -> int:
        """Return how many forms are remembered in both generations."""
        return len(self._young) + len(self._old)


def _size_of(form: Hashable) -> int:
    if isinstance(form, tuple):
        return sum(len(part) for part in form)
    return len(form) if isinstance(form, bytes) else 0
