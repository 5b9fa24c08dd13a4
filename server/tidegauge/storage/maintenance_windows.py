"""The table of maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor

from tidegauge.errors import Conflict, NotFound
from tidegauge.model.maintenance import MaintenanceWindow, Once, Recurrence, Schedule
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.audit import write_audit
from tidegauge.storage.moments import to_ms
from tidegauge.storage.pool import Pool
from tidegauge.storage.silences import read_matchers, write_matchers

MAX_WINDOWS = 500
"""An evaluator looks at all of them in each of its rounds."""

_AT_MOST_S = 10.0

_COLUMNS = """
SELECT id, name, matchers, time_zone, enabled, comment, created_by, created_at, changed_at,
    start_time, duration_ms, weekdays, days_of_month, months, first_day, last_day,
    once_from, once_until
FROM maintenance_windows
"""
_READ_PAGE = _COLUMNS + "WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"
_READ_ENABLED = _COLUMNS + "WHERE enabled ORDER BY id"
_FIND = _COLUMNS + "WHERE id = %s"
_ADD = """
INSERT INTO maintenance_windows (name, matchers, time_zone, enabled, comment, created_by,
    start_time, duration_ms, weekdays, days_of_month, months, first_day, last_day,
    once_from, once_until)
SELECT %(name)s, %(matchers)s, %(zone)s, %(enabled)s, %(comment)s, %(created_by)s,
    %(start)s::time, %(duration_ms)s::bigint, %(weekdays)s::smallint[],
    %(days_of_month)s::smallint[], %(months)s::smallint[], %(first_day)s::date,
    %(last_day)s::date, %(once_from)s::timestamp, %(once_until)s::timestamp
WHERE (SELECT count(*) FROM maintenance_windows) < %(most)s
RETURNING id
"""
_REPLACE = """
UPDATE maintenance_windows SET name = %(name)s, matchers = %(matchers)s, time_zone = %(zone)s,
    enabled = %(enabled)s, comment = %(comment)s, start_time = %(start)s,
    duration_ms = %(duration_ms)s, weekdays = %(weekdays)s::smallint[],
    days_of_month = %(days_of_month)s::smallint[], months = %(months)s::smallint[],
    first_day = %(first_day)s, last_day = %(last_day)s, once_from = %(once_from)s,
    once_until = %(once_until)s, changed_at = now()
WHERE id = %(id)s
"""
_DELETE = "DELETE FROM maintenance_windows WHERE id = %s"


class MaintenanceWindows:
    """Maintenance windows; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def add(self, window: MaintenanceWindow, audit: AuditEntry) -> MaintenanceWindow:
        """Store one and return it with its id.

        Raises:
            Conflict: there are MAX_WINDOWS already. Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_ADD, {**_values(window), "most": MAX_WINDOWS})
            rows = lent.fetchall()
            if not rows:
                raise Conflict(
                    f"there are {MAX_WINDOWS} maintenance windows, and no more are taken: "
                    "delete those that are over"
                )
            write_audit(lent, audit, target=f"maintenance-window:{rows[0][0]}")
            return _find(lent, rows[0][0])

    def replace(self, window: MaintenanceWindow, audit: AuditEntry) -> MaintenanceWindow:
        """Store one over that with its id, but for who made it and when; return what is there now.

        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_REPLACE, _values(window))
            changed = _find(lent, window.id)
            write_audit(lent, audit)
            return changed

    def delete(self, window_id: int, audit: AuditEntry) -> None:
        """Delete one; what it muted is told at the next evaluation.

        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            _find(lent, window_id)
            lent.execute(_DELETE, (window_id,))
            write_audit(lent, audit)

    def read(self, window_id: int) -> MaintenanceWindow:
        """Return one.

        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            return _find(lent, window_id)

    def read_page(self, *, after: int, limit: int) -> list[MaintenanceWindow]:
        """Return windows in the order of their ids, those that are over too.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_PAGE, {"after": after, "limit": limit})
            return [_read(row) for row in lent.fetchall()]

    def read_enabled(self) -> list[MaintenanceWindow]:
        """Return those that are not switched off.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_ENABLED)
            return [_read(row) for row in lent.fetchall()]


def _find(lent: cursor, window_id: int) -> MaintenanceWindow:
    lent.execute(_FIND, (window_id,))
    rows = lent.fetchall()
    if not rows:
        raise NotFound(f"there is no maintenance window {window_id}")
    return _read(rows[0])


def _values(window: MaintenanceWindow) -> dict[str, object]:
    recurs = window.schedule if isinstance(window.schedule, Recurrence) else None
    once = window.schedule if isinstance(window.schedule, Once) else None
    return {
        "id": window.id,
        "name": window.name,
        "matchers": write_matchers(window.matchers),
        "zone": window.zone,
        "enabled": window.enabled,
        "comment": window.comment,
        "created_by": window.created_by,
        "start": recurs and recurs.start,
        "duration_ms": recurs and recurs.duration_ms,
        "weekdays": list(recurs.weekdays) if recurs else [],
        "days_of_month": list(recurs.days_of_month) if recurs else [],
        "months": list(recurs.months) if recurs else [],
        "first_day": recurs and recurs.first_day,
        "last_day": recurs and recurs.last_day,
        "once_from": once and once.begin,
        "once_until": once and once.end,
    }


def _read(row: Sequence[Any]) -> MaintenanceWindow:
    return MaintenanceWindow(
        id=row[0],
        name=row[1],
        matchers=read_matchers(row[2]),
        zone=row[3],
        schedule=_read_schedule(row[9:]),
        enabled=row[4],
        comment=row[5],
        created_by=row[6],
        created_ms=to_ms(row[7]),
        changed_ms=to_ms(row[8]),
    )


def _read_schedule(row: Sequence[Any]) -> Schedule:
    start, duration_ms, weekdays, days_of_month, months, first_day, last_day, begin, end = row
    if start is None:
        return Once(begin, end)
    return Recurrence(
        start=start,
        duration_ms=duration_ms,
        weekdays=tuple(weekdays),
        days_of_month=tuple(days_of_month),
        months=tuple(months),
        first_day=first_day,
        last_day=last_day,
    )
