"""The table of silences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from psycopg2.extensions import cursor

from tidegauge.errors import Conflict, NotFound
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.silences import Silence, SilenceState
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.audit import write_audit
from tidegauge.storage.moments import to_moment, to_ms
from tidegauge.storage.pool import Pool

_AT_MOST_S = 10.0

_COLUMNS = "SELECT id, matchers, starts_at, ends_at, comment, created_by, created_at FROM silences "
_READ_PAGE = (
    _COLUMNS
    + """
WHERE id > %(after)s AND CASE %(state)s
    WHEN 'expired' THEN ends_at <= %(now)s
    WHEN 'active' THEN ends_at > %(now)s AND starts_at <= %(now)s
    WHEN 'pending' THEN ends_at > %(now)s AND starts_at > %(now)s
    ELSE true END
ORDER BY id LIMIT %(limit)s
"""
)
_READ_STANDING = _COLUMNS + "WHERE ends_at > %s ORDER BY id"
_FIND = _COLUMNS + "WHERE id = %s"
_ADD = """
INSERT INTO silences (matchers, starts_at, ends_at, comment, created_by)
VALUES (%s, %s, %s, %s, %s)
RETURNING id, matchers, starts_at, ends_at, comment, created_by, created_at
"""
_REPLACE = """
UPDATE silences SET matchers = %s, starts_at = %s, ends_at = %s, comment = %s
WHERE id = %s AND ends_at > %s
RETURNING id, matchers, starts_at, ends_at, comment, created_by, created_at
"""
# One that has not begun yet ends where it would have begun.
_END = """
UPDATE silences SET ends_at = greatest(starts_at, %(now)s) WHERE id = %(id)s AND ends_at > %(now)s
"""


class Silences:
    """Silences; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def add(self, silence: Silence, audit: AuditEntry) -> Silence:
        """Store one and return it with its id.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_ADD, (*_values(silence), silence.created_by))
            stored = _read(lent.fetchall()[0])
            write_audit(lent, audit, target=f"silence:{stored.id}")
            return stored

    def replace(self, silence: Silence, audit: AuditEntry, *, now_ms: int) -> Silence:
        """Store one over that with its id, but for who made it and when; return what is there now.

        Raises:
            NotFound. Conflict: it is over. Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_REPLACE, (*_values(silence), silence.id, to_moment(now_ms)))
            rows = lent.fetchall()
            if not rows:
                _find(lent, silence.id)
                raise Conflict(f"silence {silence.id} is over; make a new one")
            write_audit(lent, audit)
            return _read(rows[0])

    def end(self, silence_id: int, audit: AuditEntry, *, now_ms: int) -> None:
        """End one now; one that is over already is no fault.

        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            _find(lent, silence_id)
            lent.execute(_END, {"id": silence_id, "now": to_moment(now_ms)})
            if lent.rowcount:
                write_audit(lent, audit)

    def read(self, silence_id: int) -> Silence:
        """Return one.

        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            return _find(lent, silence_id)

    def read_page(
        self, *, after: int, limit: int, state: SilenceState | None, now_ms: int
    ) -> list[Silence]:
        """Return silences in the order of their ids.

        Args:
            after: only those with a greater id.
            limit: at most so many.
            state: only those that stand so now; None: all.
            now_ms: when that is, Unix ms.
        Raises:
            Unavailable.
        """
        values = {"after": after, "limit": limit, "state": state, "now": to_moment(now_ms)}
        return self._list(_READ_PAGE, values)

    def read_standing(self, now_ms: int) -> list[Silence]:
        """Return those that are not over yet.

        Raises:
            Unavailable.
        """
        return self._list(_READ_STANDING, (to_moment(now_ms),))

    def _list(self, statement: str, values: Any) -> list[Silence]:
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(statement, values)
            return [_read(row) for row in lent.fetchall()]


def _find(lent: cursor, silence_id: int) -> Silence:
    lent.execute(_FIND, (silence_id,))
    rows = lent.fetchall()
    if not rows:
        raise NotFound(f"there is no silence {silence_id}")
    return _read(rows[0])


def _values(silence: Silence) -> tuple[object, ...]:
    return (
        write_matchers(silence.matchers),
        to_moment(silence.starts_ms),
        to_moment(silence.ends_ms),
        silence.comment,
    )


def write_matchers(matchers: Sequence[Matcher]) -> str:
    """Return matchers as JSON: a list of {name, operator, value}."""
    rows = [{"name": one.name, "operator": one.type.value, "value": one.value} for one in matchers]
    return orjson.dumps(rows).decode()


def read_matchers(rows: Sequence[Any]) -> tuple[Matcher, ...]:
    """Return the matchers of a list of {name, operator, value}."""
    return tuple(Matcher(MatchType(one["operator"]), one["name"], one["value"]) for one in rows)


def _read(row: Sequence[Any]) -> Silence:
    return Silence(
        id=row[0],
        matchers=read_matchers(row[1]),
        starts_ms=to_ms(row[2]),
        ends_ms=to_ms(row[3]),
        comment=row[4],
        created_by=row[5],
        created_ms=to_ms(row[6]),
    )
