"""Registers series: label sets in, ids out; and notes when they were last written."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import orjson
from psycopg2.extensions import cursor

from tidegauge.model.labels import METRIC_NAME, Labels
from tidegauge.storage.catalogue_version import (
    lock_catalogue,
    note_added_series,
    note_changed_series,
)
from tidegauge.storage.fingerprints import FingerprintCollision, fingerprint
from tidegauge.storage.pool import Pool
from tidegauge.storage.protocol import SeriesKey

# So many series go into one statement: large enough to be fast, small enough that others who
# register are not kept waiting for long.
_SERIES_PER_STATEMENT = 10_000
_TOUCHES_PER_CALL = 10_000
# A request waits for the look-up of its new series; when the database is that slow they travel
# with their labels instead, and whoever writes them registers them.
LOOK_UP_AT_MOST_S = 3.0
TOUCH_EVERY_S = 600
# A series that was silent for longer comes back into listings from which it had gone, and
# everybody has to know. It must lie between TOUCH_EVERY_S and the listings' slack.
REVIVED_AFTER_S = 1800

_FIND = """
SELECT series.id, series.metric_id, series.fingerprint::text, metric.name, series.tags::text
FROM series JOIN metric_definitions AS metric ON metric.id = series.metric_id
WHERE series.fingerprint = ANY(%s::uuid[])
"""
_ADD_METRICS = """
INSERT INTO metric_definitions (name, created_at)
SELECT new.name, %(now)s FROM json_array_elements_text(%(names)s::json) AS new (name)
WHERE NOT EXISTS (SELECT FROM metric_definitions AS known WHERE md5(known.name) = md5(new.name))
ORDER BY new.name
ON CONFLICT DO NOTHING
"""
_ADD_SERIES = """
INSERT INTO series (metric_id, tags, fingerprint, created_at, last_seen)
SELECT metric.id, new.tags, new.fingerprint, %(now)s, %(now)s
FROM json_to_recordset(%(series)s::json) AS new (fingerprint uuid, name text, tags jsonb)
JOIN metric_definitions AS metric
    ON md5(metric.name) = md5(new.name) AND metric.name = new.name
WHERE NOT EXISTS (SELECT FROM series AS known WHERE known.fingerprint = new.fingerprint)
ORDER BY metric.id, new.fingerprint
ON CONFLICT DO NOTHING
RETURNING id, metric_id, fingerprint::text
"""
# Rows that somebody else is touching at this moment are left to him: no waiting, no deadlock.
_TOUCH = """
WITH due AS (
    SELECT id, last_seen FROM series
    WHERE id = ANY(%(ids)s::integer[]) AND last_seen < %(stale)s
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
    UPDATE series SET last_seen = %(seen)s FROM due WHERE series.id = due.id
    RETURNING due.last_seen AS before
)
SELECT count(*) FROM moved WHERE before < %(silent)s
"""


class SeriesRegistry:
    """Finds, adds and touches series.

    Args:
        pool: connections.
        clock_ms: the time at which series are registered, Unix ms.
    """

    def __init__(self, *, pool: Pool, clock_ms: Callable[[], int]) -> None:
        self._pool, self._clock_ms = pool, clock_ms
        self._touch_lock = threading.Lock()
        # By series id: the second, on the caller's clock, of the last touch; 4 bytes a series.
        self._touched_s = np.zeros(0, np.uint32)

    def find(self, label_sets: Sequence[Labels]) -> dict[Labels, SeriesKey]:
        """Return the ids of those label sets that are registered.

        Raises:
            InvalidInput, FingerprintCollision, Unavailable.
        """
        return self._find(label_sets, LOOK_UP_AT_MOST_S)

    def register(self, label_sets: Sequence[Labels]) -> dict[Labels, SeriesKey]:
        """Return the ids of all label sets, adding those that are new.

        Safe from any number of processes. A batch of many thousand goes in several transactions,
        each complete.

        Raises:
            InvalidInput, FingerprintCollision, Unavailable.
        """
        found = self._find(label_sets, None)
        missing = {fingerprint(labels): labels for labels in label_sets if labels not in found}
        for part in _parts(missing):
            with self._pool.transaction() as lent:
                found |= self._add(lent, part)
        return found

    def _find(
        self, label_sets: Sequence[Labels], at_most_s: float | None
    ) -> dict[Labels, SeriesKey]:
        by_print = {fingerprint(labels): labels for labels in label_sets}
        found: dict[Labels, SeriesKey] = {}
        for part in _parts(by_print):
            with self._pool.transaction(at_most_s=at_most_s) as lent:
                found |= _find(lent, part)
        return found

    def touch(self, series_ids: np.ndarray, seen_ms: int) -> None:
        """Move last_seen of those series for which that is due, of several thousand at most.

        What is left over is due again at the next call.

        Args:
            series_ids: int32, shape (n,); repeats are fine.
            seen_ms: Unix ms.
        Raises:
            Unavailable.
        """
        if not len(series_ids):
            return
        seen_s = seen_ms // 1000
        with self._touch_lock:
            due = self._find_due(series_ids, seen_s)
            if not len(due):
                return
            self._touch_rows(due, seen_ms)
            self._touched_s[due] = seen_s

    def _find_due(self, series_ids: np.ndarray, seen_s: int) -> np.ndarray:
        highest = int(series_ids.max())
        if highest >= len(self._touched_s):
            grown = np.zeros(max(highest + 1, 2 * len(self._touched_s)), np.uint32)
            grown[: len(self._touched_s)] = self._touched_s
            self._touched_s = grown
        overdue = self._touched_s[series_ids].astype(np.int64) + TOUCH_EVERY_S <= seen_s
        return np.unique(series_ids[overdue])[:_TOUCHES_PER_CALL]

    def _touch_rows(self, due: np.ndarray, seen_ms: int) -> None:
        asked = {
            "ids": due.tolist(),
            "seen": to_datetime(seen_ms),
            "stale": to_datetime(seen_ms - TOUCH_EVERY_S * 500),
            "silent": to_datetime(seen_ms - REVIVED_AFTER_S * 1000),
        }
        with self._pool.transaction() as lent:
            lent.execute(_TOUCH, asked)
            row = lent.fetchone()
            if row is not None and row[0]:
                note_changed_series(lent)

    def _add(self, lent: cursor, missing: dict[str, Labels]) -> dict[Labels, SeriesKey]:
        lock_catalogue(lent)
        now = to_datetime(self._clock_ms())
        split = {digest: split_name(labels) for digest, labels in missing.items()}
        names = sorted({name for name, _ in split.values()})
        lent.execute(_ADD_METRICS, {"now": now, "names": orjson.dumps(names).decode()})
        rows = [
            {"fingerprint": digest, "name": name, "tags": tags}
            for digest, (name, tags) in split.items()
        ]
        lent.execute(_ADD_SERIES, {"now": now, "series": orjson.dumps(rows).decode()})
        added = {
            missing[digest.replace("-", "")]: SeriesKey(series_id, metric_id)
            for series_id, metric_id, digest in lent.fetchall()
        }
        note_added_series(lent)
        if len(added) < len(missing):
            rest = {digest: labels for digest, labels in missing.items() if labels not in added}
            added |= _find(lent, rest)
        if len(added) < len(missing):
            left = next(labels for labels in missing.values() if labels not in added)
            raise FingerprintCollision(
                f"series {left!r} cannot be added: another metric's name has the same digest"
            )
        return added


def split_name(labels: Labels) -> tuple[str, dict[str, str]]:
    """Return the metric name of a label set, and the other labels."""
    tags = dict(labels)
    return tags.pop(METRIC_NAME), tags


def join_name(name: str, tags: dict[str, str]) -> Labels:
    """Return the label set of a metric name and other labels."""
    return tuple(sorted([(METRIC_NAME, name), *tags.items()]))


def to_datetime(time_ms: int) -> dt.datetime:
    """Return Unix ms as a time that the database driver understands."""
    return dt.datetime.fromtimestamp(time_ms / 1000, tz=dt.UTC)


def _find(lent: cursor, by_print: dict[str, Labels]) -> dict[Labels, SeriesKey]:
    lent.execute(_FIND, ("{" + ",".join(by_print) + "}",))
    rows = lent.fetchall()
    all_tags = orjson.loads("[" + ",".join([row[4] for row in rows]) + "]")
    found = {}
    for (series_id, metric_id, digest, name, _), tags in zip(rows, all_tags, strict=True):
        labels = by_print[digest.replace("-", "")]
        if join_name(name, tags) != labels:
            raise FingerprintCollision(
                f"series {series_id} has the fingerprint of {labels!r}, and other labels"
            )
        found[labels] = SeriesKey(series_id, metric_id)
    return found


def _parts(by_print: dict[str, Labels]) -> Iterator[dict[str, Labels]]:
    digests = sorted(by_print)
    for start in range(0, len(digests), _SERIES_PER_STATEMENT):
        yield {
            digest: by_print[digest] for digest in digests[start : start + _SERIES_PER_STATEMENT]
        }
