"""Lists label names, label values and series, from memory where that is exact."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from psycopg2.extensions import cursor

from tidegauge.errors import DeadlineExceeded, LimitExceeded
from tidegauge.model.labels import METRIC_NAME, Labels, find_label
from tidegauge.model.matchers import Matcher
from tidegauge.storage.catalogue_selection import (
    REMEMBERED_FOR_S,
    SERIES_SETTING,
    Selector,
    check_series,
)
from tidegauge.storage.catalogue_version import CatalogueVersion, read_version
from tidegauge.storage.pool import Pool
from tidegauge.storage.protocol import ReadBudget
from tidegauge.storage.texts import is_storable

# last_seen is moved about every ten minutes, and may be remembered for twenty more: a series
# is listed as long as it was seen at most this long before the start of the range.
SLACK_MS = 3_600_000

_MOST_ITEMS_REMEMBERED = 500_000
_FURTHEST_MS = 1 << 60

_READ_NAMES = """
SELECT name, (extract(epoch FROM max(series.last_seen)) * 1000)::bigint
FROM series, jsonb_object_keys(series.tags) AS name
WHERE series.id > %(after)s
GROUP BY name LIMIT %(limit)s
"""
_READ_LATEST = """
SELECT (extract(epoch FROM max(last_seen)) * 1000)::bigint FROM series WHERE id > %(after)s
"""
_READ_VALUES = """
SELECT tags ->> %(name)s AS value, (extract(epoch FROM max(last_seen)) * 1000)::bigint
FROM series
WHERE id > %(after)s AND tags ->> %(name)s IS NOT NULL
GROUP BY value LIMIT %(limit)s
"""
_READ_METRICS = """
SELECT metric.name, (extract(epoch FROM max(series.last_seen)) * 1000)::bigint
FROM series JOIN metric_definitions AS metric ON metric.id = series.metric_id
WHERE series.id > %(after)s
GROUP BY metric.name LIMIT %(limit)s
"""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class _Listed:
    """Every item of one kind: sorted, and when a series that has it was last seen."""

    items: list[str]
    last_seen_ms: np.ndarray
    version: CatalogueVersion
    read_s: float

    def since(self, start_ms: int | None) -> list[str]:
        if start_ms is None or not len(self.items):
            return self.items
        seen = _seen_since(self.last_seen_ms, start_ms)
        if seen.all():
            return self.items
        return [self.items[place] for place in np.flatnonzero(seen).tolist()]


class LabelListings:
    """Lists series and their labels; safe to use from many threads.

    Without selectors, what was read is remembered with the state of the catalogue, and only
    what was added since is read again. The end of a time range is not looked at.

    Args:
        pool: connections.
        selector: resolves selectors.
        monotonic: in seconds.
    """

    def __init__(self, *, pool: Pool, selector: Selector, monotonic: Callable[[], float]) -> None:
        self._pool, self._selector, self._monotonic = pool, selector, monotonic
        self._lock = threading.Lock()
        self._remembered: OrderedDict[str | None, _Listed] = OrderedDict()

    def series(
        self,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[Labels]:
        """Return the sorted label sets that match any selector, of all series if there is none.

        Raises:
            LimitExceeded, DeadlineExceeded, Unavailable.
        """
        return _cut(sorted(self._find_series(selectors, start_ms, budget)), limit)

    def names(
        self,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[str]:
        """Return the sorted label names of such series.

        Raises:
            LimitExceeded, DeadlineExceeded, Unavailable.
        """
        if selectors:
            found = self._find_series(selectors, start_ms, budget)
            return _cut(sorted({name for labels in found for name, _ in labels}), limit)
        return _cut(self._list(None, start_ms, budget), limit)

    def values(
        self,
        name: str,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[str]:
        """Return the sorted values of one label among such series.

        Raises:
            LimitExceeded, DeadlineExceeded, Unavailable.
        """
        if selectors:
            found = self._find_series(selectors, start_ms, budget)
            return _cut(sorted({find_label(labels, name) for labels in found} - {""}), limit)
        if not is_storable(name):
            return []
        return _cut(self._list(name, start_ms, budget), limit)

    def _find_series(
        self, selectors: Sequence[Sequence[Matcher]], start_ms: int | None, budget: ReadBudget
    ) -> set[Labels]:
        found: set[Labels] = set()
        with self._pool.transaction(
            deadline_s=budget.deadline_s, cancellation=budget.cancellation
        ) as lent:
            for matchers in selectors or [()]:
                if self._monotonic() >= budget.deadline_s:
                    raise DeadlineExceeded("the time was over while the series were looked up")
                selection = self._selector.resolve(lent, matchers, budget)
                if start_ms is None:
                    found.update(selection.labels)
                else:
                    seen = np.flatnonzero(_seen_since(selection.last_seen_ms, start_ms))
                    found.update(selection.labels[place] for place in seen.tolist())
                check_series(len(found), budget)
        return found

    def _list(self, name: str | None, start_ms: int | None, budget: ReadBudget) -> list[str]:
        """Return the values of a label, or the label names for None."""
        with self._pool.transaction(
            deadline_s=budget.deadline_s, cancellation=budget.cancellation
        ) as lent:
            version = read_version(lent)
            now_s = self._monotonic()
            known = self._remembered.get(name)
            if (
                known is None
                or known.version.version != version.version
                or now_s - known.read_s > REMEMBERED_FOR_S
            ):
                listed = _merge(_read(lent, name, 0, budget), version, now_s)
            elif known.version.last_series_id >= version.last_series_id:
                return known.since(start_ms)
            else:
                before = dict(zip(known.items, known.last_seen_ms.tolist(), strict=True))
                added = _read(lent, name, known.version.last_series_id, budget)
                listed = _merge(before | added, version, known.read_s)
        _check_items(len(listed.items), budget)
        self._remember(name, listed)
        return listed.since(start_ms)

    def _remember(self, name: str | None, listed: _Listed) -> None:
        with self._lock:
            self._remembered[name] = listed
            self._remembered.move_to_end(name)
            # Each counts one more than its items, so that unknown labels are bounded too.
            total = sum(len(one.items) + 1 for one in self._remembered.values())
            while total > _MOST_ITEMS_REMEMBERED or len(self._remembered) > 1000:
                _, dropped = self._remembered.popitem(last=False)
                total -= len(dropped.items) + 1


def _seen_since(last_seen_ms: np.ndarray, start_ms: int) -> np.ndarray:
    # Callers may mean "from the beginning" by any small number; int64 must hold it.
    since_ms = min(max(start_ms - SLACK_MS, -_FURTHEST_MS), _FURTHEST_MS)
    seen: np.ndarray = last_seen_ms >= since_ms
    return seen


def _read(lent: cursor, name: str | None, after: int, budget: ReadBudget) -> dict[str, int]:
    asked = {"after": after, "name": name, "limit": budget.max_series + 1}
    if name is None:
        lent.execute(_READ_NAMES, asked)
        found = dict(lent.fetchall())
        # Every series has a name, which is not among its tags.
        lent.execute(_READ_LATEST, asked)
        found.update((METRIC_NAME, row[0]) for row in lent.fetchall() if row[0] is not None)
    else:
        lent.execute(_READ_METRICS if name == METRIC_NAME else _READ_VALUES, asked)
        found = dict(lent.fetchall())
    _check_items(len(found), budget)
    return found


def _merge(found: Mapping[str, int], version: CatalogueVersion, read_s: float) -> _Listed:
    items = sorted(found)
    return _Listed(items, np.array([found[item] for item in items], np.int64), version, read_s)


def _check_items(count: int, budget: ReadBudget) -> None:
    if count > budget.max_series:
        raise LimitExceeded(
            "label names or values",
            reached=count,
            allowed=budget.max_series,
            setting=SERIES_SETTING,
        )


def _cut(items: list[_Item], limit: int) -> list[_Item]:
    # A copy in any case: the list may be one that is remembered.
    return items[:limit] if limit else list(items)
