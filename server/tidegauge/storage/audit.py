"""The log of who changed what: written in the transaction of the change, read a page at a time."""

from __future__ import annotations

import orjson
from psycopg2.extensions import cursor

from tidegauge.storage.accounts_rows import AuditEntry, AuditRow
from tidegauge.storage.pool import Pool
from tidegauge.storage.texts import is_storable

_WRITE = """
INSERT INTO audit_log (actor, actor_name, address, request_id, action, target, details)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_READ = """
SELECT id, at, actor, actor_name, action, target, details, address, request_id FROM audit_log
WHERE (%(before)s::bigint IS NULL OR id < %(before)s)
    AND (%(target)s = '' OR target = %(target)s)
ORDER BY id DESC LIMIT %(limit)s
"""


def write_audit(lent: cursor, entry: AuditEntry, *, target: str = "") -> None:
    """Record an entry in a transaction at hand; `target` goes over the entry's own."""
    lent.execute(
        _WRITE,
        (
            entry.actor,
            entry.actor_name,
            entry.address,
            entry.request_id,
            entry.action,
            target or entry.target,
            orjson.dumps(dict(entry.details)).decode(),
        ),
    )


class AuditLog:
    """The recorded changes.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def write(self, entry: AuditEntry) -> None:
        """Record what no other transaction records, as a sign-in that failed.

        Raises:
            Unavailable.
        """
        with self._pool.transaction() as lent:
            write_audit(lent, entry)

    def read(self, *, before: int | None, target: str, limit: int) -> list[AuditRow]:
        """Return the newest entries, newest first.

        Args:
            before: only those with a smaller id, to turn the page; None: from the newest.
            target: only those about this thing; "": all.
            limit: at most so many.
        Raises:
            Unavailable.
        """
        if not is_storable(target):
            return []
        with self._pool.transaction() as lent:
            lent.execute(_READ, {"before": before, "target": target, "limit": limit})
            return [AuditRow(row[0], row[1], AuditEntry(*row[2:])) for row in lent.fetchall()]
