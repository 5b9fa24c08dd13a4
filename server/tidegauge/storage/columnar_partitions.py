"""Makes the partitions of `arrivals` before they are needed, without keeping readers waiting."""

from __future__ import annotations

import datetime as dt
import threading

import structlog
from psycopg2 import sql
from psycopg2.extensions import cursor

from tidegauge.errors import Unavailable
from tidegauge.storage.catalogue_registry import to_datetime
from tidegauge.storage.pool import Pool

_LOCK_KEY = 0x7469646570617274  # "tidepart"
_MOST_REMEMBERED = 1000

# Making a partition waits for ANALYZE and the like. For one that is only needed later nobody
# waits long; it is tried again when the clock has moved on by a part of the span.
_LOCK_TIMEOUT_MS, _AHEAD_LOCK_TIMEOUT_MS = 10_000, 500
_TRIES_A_SPAN = 60
_LOCK = "SET LOCAL lock_timeout = %s; SELECT pg_advisory_xact_lock(%s)"
_READ_BOUNDS = r"""
SELECT bound[1]::timestamptz, bound[2]::timestamptz
FROM pg_inherits AS child
JOIN pg_class AS part ON part.oid = child.inhrelid
CROSS JOIN LATERAL regexp_match(
    pg_get_expr(part.relpartbound, part.oid), $$FROM \('([^']+)'\) TO \('([^']+)'\)$$
) AS bound
WHERE child.inhparent = 'arrivals'::regclass AND bound IS NOT NULL
ORDER BY 1
"""
# Made apart and attached: CREATE TABLE … PARTITION OF would lock everybody out of all of it.
_CREATE = """
CREATE TABLE {name} (LIKE arrivals INCLUDING ALL);
ALTER TABLE {name} SET (autovacuum_vacuum_insert_threshold = -1);
ALTER TABLE arrivals ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})
"""

_Span = tuple[int, int]


class ArrivalPartitions:
    """Sees to it that there is a partition for every time of arrival.

    There is no default partition: attaching beside one locks it against readers. A clock that
    jumps finds its partition made on demand.

    Args:
        pool: connections.
        width_s: the span of a new partition; those that exist keep theirs.
    """

    def __init__(self, *, pool: Pool, width_s: int) -> None:
        self._pool, self._width_ms = pool, width_s * 1000
        self._lock = threading.Lock()
        self._known: list[_Span] = []
        self._next_try_ms = 0
        self._log = structlog.get_logger()

    def ensure(self, arrived_ms: int) -> None:
        """Return when this time has its partition, and the near future has one too.

        Args:
            arrived_ms: Unix ms; the next partition is made when half of this one has passed.
        Raises:
            Unavailable.
        """
        ahead_ms = arrived_ms + self._width_ms // 2
        with self._lock:
            if not _covers(self._known, arrived_ms):
                self._make(arrived_ms, _LOCK_TIMEOUT_MS)
            if not _covers(self._known, ahead_ms) and arrived_ms >= self._next_try_ms:
                try:
                    self._make(ahead_ms, _AHEAD_LOCK_TIMEOUT_MS)
                except Unavailable as exc:
                    self._next_try_ms = arrived_ms + self._width_ms // _TRIES_A_SPAN
                    self._log.warning("the next partition is not made yet", error=str(exc))

    def _make(self, time_ms: int, lock_timeout_ms: int) -> None:
        with self._pool.transaction() as lent:
            lent.execute(_LOCK, (lock_timeout_ms, _LOCK_KEY))
            known = _read_bounds(lent)
            if not _covers(known, time_ms):
                known.append(self._create(lent, time_ms, known))
        # The newest last, where the search begins.
        self._known = sorted(known)[-_MOST_REMEMBERED:]

    def forget(self) -> None:
        """Look at the database again before the next time: a partition has gone."""
        with self._lock:
            self._known = []

    def _create(self, lent: cursor, time_ms: int, known: list[_Span]) -> _Span:
        start = time_ms - time_ms % self._width_ms
        end = start + self._width_ms
        # Neighbours may have another width, from another setting.
        start = max([start, *(before for _, before in known if before <= time_ms)])
        end = min([end, *(after for after, _ in known if after > time_ms)])
        name = f"arrivals_{to_datetime(start):%Y%m%d_%H%M%S}"
        lent.execute(
            sql.SQL(_CREATE).format(
                name=sql.Identifier(name),
                start=sql.Literal(to_datetime(start)),
                end=sql.Literal(to_datetime(end)),
            )
        )
        return start, end


def _covers(known: list[_Span], time_ms: int) -> bool:
    return any(start <= time_ms < end for start, end in reversed(known))


def _read_bounds(lent: cursor) -> list[_Span]:
    lent.execute(_READ_BOUNDS)
    return [(_to_ms(start), _to_ms(end)) for start, end in lent.fetchall()]


def _to_ms(time: dt.datetime) -> int:
    return round(time.timestamp() * 1000)
