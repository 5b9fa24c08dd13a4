"""Turns matchers into series, and remembers the answers as long as they hold."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from psycopg2.extensions import cursor

from tidegauge.errors import DeadlineExceeded, LimitExceeded
from tidegauge.model.labels import METRIC_NAME, Labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.storage.catalogue_registry import join_name
from tidegauge.storage.catalogue_version import CatalogueVersion, read_version
from tidegauge.storage.metric_names import MetricNames
from tidegauge.storage.protocol import ReadBudget
from tidegauge.storage.texts import is_storable

SERIES_SETTING = "TIDEGAUGE_QUERY_MAX_SERIES"

_ROWS_PER_STATEMENT = 20_000
_MOST_SERIES_REMEMBERED = 100_000
# last_seen moves without notice; listings count on it being at most this old.
REMEMBERED_FOR_S = 1200
# A table from id to position is used while it is at most so long, or so many times the series.
_TABLE_ENTRIES = 1 << 20
_TABLE_ENTRIES_PER_SERIES = 64

_READ_SERIES = """
SELECT series.id, series.metric_id, metric.name, series.tags::text,
    (extract(epoch FROM series.last_seen) * 1000)::bigint
FROM series JOIN metric_definitions AS metric ON metric.id = series.metric_id
WHERE series.id > %(after)s
    AND (%(any_metric)s OR series.metric_id = ANY(%(metrics)s::integer[]))
    AND (%(any_tags)s OR series.tags @> %(tags)s::jsonb)
ORDER BY series.id
LIMIT %(limit)s
"""

_Row = tuple[int, int, Labels, int]
_Key = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The series that match, sorted by label set.

    Args:
        labels: the label set of each of the S series.
        series_ids: int32, shape (S,).
        metric_ids: the metrics that they belong to, each once.
        last_seen_ms: int64, shape (S,): coarse, and up to REMEMBERED_FOR_S old.
        base: the series id before the first entry of `table`.
        table: where a series id stands; see `positions`.
    """

    labels: list[Labels]
    series_ids: np.ndarray
    metric_ids: list[int]
    last_seen_ms: np.ndarray
    base: int
    table: np.ndarray | None

    def positions(self, series_ids: np.ndarray) -> np.ndarray:
        """Return the position of each series, or S for one that is not selected.

        Args:
            series_ids: int32, shape (n,).
        Returns:
            uint16 where S allows, else int32; shape (n,).
        """
        if self.table is not None:
            found: np.ndarray = self.table.take(series_ids - np.int32(self.base), mode="clip")
            return found
        by_id = np.argsort(self.series_ids)
        places = np.searchsorted(self.series_ids, series_ids, sorter=by_id)
        candidates = by_id.take(places, mode="clip")
        known = self.series_ids[candidates] == series_ids
        return np.where(known, candidates, len(self.labels)).astype(_index_type(self.series_ids))


def make_selection(rows: Sequence[_Row]) -> Selection:
    """Return the selection of these series: (id, metric id, labels, last seen in ms)."""
    ordered = sorted(rows, key=lambda row: row[2])
    series_ids = np.array([row[0] for row in ordered], np.int32)
    last_seen_ms = np.array([row[3] for row in ordered], np.int64)
    metric_ids = sorted({row[1] for row in ordered})
    base, table = _make_table(series_ids)
    return Selection([row[2] for row in ordered], series_ids, metric_ids, last_seen_ms, base, table)


def _index_type(series_ids: np.ndarray) -> type[np.uint16] | type[np.int32]:
    # 16 bits sort by radix, several times faster.
    return np.uint16 if len(series_ids) < 2**16 - 1 else np.int32


def _make_table(series_ids: np.ndarray) -> tuple[int, np.ndarray | None]:
    if not len(series_ids):
        return 0, np.zeros(1, np.uint16)
    first, last = int(series_ids.min()), int(series_ids.max())
    span = last - first + 1
    if span > max(_TABLE_ENTRIES, _TABLE_ENTRIES_PER_SERIES * len(series_ids)):
        return 0, None
    # One entry more at either end, for all ids that lie outside.
    table = np.full(span + 2, len(series_ids), _index_type(series_ids))
    table[series_ids - (first - 1)] = np.arange(len(series_ids))
    return first - 1, table


@dataclass(slots=True)
class _Remembered:
    selection: Selection
    rows: list[_Row]
    version: CatalogueVersion
    read_s: float

    @property
    def weight(self) -> int:
        # One more than its series, so that the number of empty answers is bounded too.
        return len(self.rows) + 1


class Selector:
    """Resolves matchers to series; safe to use from many threads.

    An answer is remembered with the state of the catalogue; when series have been added since,
    only those are read. So it is always complete up to the last commit.

    Args:
        names: the metrics' names.
        monotonic: the clock of deadlines and of remembering, in seconds.
    """

    def __init__(self, *, names: MetricNames, monotonic: Callable[[], float]) -> None:
        self._names, self._monotonic = names, monotonic
        self._lock = threading.Lock()
        self._remembered: OrderedDict[_Key, _Remembered] = OrderedDict()
        self._weight = 0

    def resolve(self, lent: cursor, matchers: Sequence[Matcher], budget: ReadBudget) -> Selection:
        """Return the series that pass all matchers.

        Raises:
            LimitExceeded: more than budget.max_series.
            DeadlineExceeded, Unavailable.
        """
        now_s = self._monotonic()
        version = read_version(lent)
        key = tuple(sorted((one.name, one.type.value, one.value) for one in matchers))
        known = self._find_remembered(key, version, now_s)
        if known is None:
            rows = self._read(lent, matchers, version, 0, [], budget)
            known = _Remembered(make_selection(rows), rows, version, now_s)
            self._remember(key, known)
        elif known.version.last_series_id < version.last_series_id:
            after = known.version.last_series_id
            rows = self._read(lent, matchers, version, after, known.rows, budget)
            grown = len(rows) > len(known.rows)
            selection = make_selection(rows) if grown else known.selection
            known = _Remembered(selection, rows, version, known.read_s)
            self._remember(key, known)
        check_series(len(known.rows), budget)
        return known.selection

    def _find_remembered(
        self, key: _Key, version: CatalogueVersion, now_s: float
    ) -> _Remembered | None:
        with self._lock:
            known = self._remembered.get(key)
            if known is None:
                return None
            self._remembered.move_to_end(key)
        changed = known.version.version != version.version
        return None if changed or now_s - known.read_s > REMEMBERED_FOR_S else known

    def _remember(self, key: _Key, known: _Remembered) -> None:
        with self._lock:
            before = self._remembered.pop(key, None)
            self._weight += known.weight - (before.weight if before else 0)
            self._remembered[key] = known
            while self._weight > _MOST_SERIES_REMEMBERED:
                _, dropped = self._remembered.popitem(last=False)
                self._weight -= dropped.weight

    def _read(
        self,
        lent: cursor,
        matchers: Sequence[Matcher],
        version: CatalogueVersion,
        after: int,
        known: list[_Row],
        budget: ReadBudget,
    ) -> list[_Row]:
        """Return the known rows and those behind `after`, up to the state of the catalogue."""
        on_name = [one for one in matchers if one.name == METRIC_NAME]
        metrics = self._names.find_ids(lent, version, on_name) if on_name else None
        if metrics is not None and not metrics:
            return known
        tags, rest = _split(matchers)
        asked = {
            "any_metric": metrics is None,
            "metrics": metrics or [],
            "any_tags": not tags,
            "tags": orjson.dumps(tags).decode(),
            "limit": _ROWS_PER_STATEMENT,
        }
        found = list(known)
        pairs: dict[tuple[str, str], tuple[str, str]] = {}
        while True:
            if self._monotonic() >= budget.deadline_s:
                raise DeadlineExceeded("the time was over while the series were looked up")
            lent.execute(_READ_SERIES, asked | {"after": after})
            rows = lent.fetchall()
            # Series of transactions later than `version` come at the next call.
            found += [
                row for row in _matching(rows, rest, pairs) if row[0] <= version.last_series_id
            ]
            check_series(len(found), budget)
            if len(rows) < _ROWS_PER_STATEMENT:
                return found
            after = rows[-1][0]


def _split(matchers: Sequence[Matcher]) -> tuple[dict[str, str], list[Matcher]]:
    """Return the equalities that the database's index knows, and the matchers left to us."""
    tags: dict[str, str] = {}
    rest = []
    for one in matchers:
        if one.name == METRIC_NAME:
            continue
        # What the database cannot hold it cannot be asked for either.
        in_index = one.type is MatchType.EQUAL and one.value and is_storable(one.name + one.value)
        if in_index and tags.setdefault(one.name, one.value) == one.value:
            continue
        rest.append(one)
    return tags, rest


def _matching(
    rows: Sequence[tuple[int, int, str, str, int]],
    matchers: Sequence[Matcher],
    pairs: dict[tuple[str, str], tuple[str, str]],
) -> Iterator[_Row]:
    all_tags = orjson.loads("[" + ",".join([row[3] for row in rows]) + "]")
    for (series_id, metric_id, name, _, last_seen_ms), tags in zip(rows, all_tags, strict=True):
        if all(one.matches(tags.get(one.name, "")) for one in matchers):
            # Pairs repeat from series to series; each is held once.
            labels = tuple(pairs.setdefault(pair, pair) for pair in join_name(name, tags))
            yield series_id, metric_id, labels, last_seen_ms


def check_series(count: int, budget: ReadBudget) -> None:
    """Refuse more series than the budget allows.

    Raises:
        LimitExceeded: naming the setting.
    """
    if count > budget.max_series:
        raise LimitExceeded(
            "series", reached=count, allowed=budget.max_series, setting=SERIES_SETTING
        )
