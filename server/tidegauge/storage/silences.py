"""The table of silences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from tidegauge.errors import NotFound
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.silences import Silence
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.audit import write_audit
from tidegauge.storage.moments import to_moment, to_ms
from tidegauge.storage.pool import Pool

_AT_MOST_S = 10.0

_COLUMNS = "SELECT id, matchers, starts_at, ends_at, comment, created_by, created_at FROM silences "
_READ_PAGE = _COLUMNS + "WHERE id > %(after)s ORDER BY id LIMIT %(limit)s"
_READ_STANDING = _COLUMNS + "WHERE ends_at > %s ORDER BY id"
_FIND = _COLUMNS + "WHERE id = %s"
_ADD = """
INSERT INTO silences (matchers, starts_at, ends_at, comment, created_by)
VALUES (%s, %s, %s, %s, %s)
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
        matchers = [
            {"name": one.name, "operator": one.type.value, "value": one.value}
            for one in silence.matchers
        ]
        values = (
            orjson.dumps(matchers).decode(),
            to_moment(silence.starts_ms),
            to_moment(silence.ends_ms),
            silence.comment,
            silence.created_by,
        )
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_ADD, values)
            stored = _read(lent.fetchall()[0])
            write_audit(lent, audit, target=f"silence:{stored.id}")
            return stored

    def end(self, silence_id: int, audit: AuditEntry, *, now_ms: int) -> None:
        """End one now; one that is over already is no fault.

        Raises:
            NotFound, Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_FIND, (silence_id,))
            if not lent.fetchall():
                raise NotFound(f"there is no silence {silence_id}")
            lent.execute(_END, {"id": silence_id, "now": to_moment(now_ms)})
            if lent.rowcount:
                write_audit(lent, audit)

    def read(self, silence_id: int) -> Silence:
        """Return one.

        Raises:
            NotFound, Unavailable.
        """
        found = self._list(_FIND, (silence_id,))
        if not found:
            raise NotFound(f"there is no silence {silence_id}")
        return found[0]

    def read_page(self, *, after: int, limit: int) -> list[Silence]:
        """Return silences in the order of their ids, those that are over too.

        Raises:
            Unavailable.
        """
        return self._list(_READ_PAGE, {"after": after, "limit": limit})

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


def _read(row: Sequence[Any]) -> Silence:
    return Silence(
        id=row[0],
        matchers=tuple(
            Matcher(MatchType(one["operator"]), one["name"], one["value"]) for one in row[1]
        ),
        starts_ms=to_ms(row[2]),
        ends_ms=to_ms(row[3]),
        comment=row[4],
        created_by=row[5],
        created_ms=to_ms(row[6]),
    )
