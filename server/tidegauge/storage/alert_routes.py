"""The table of the routing document: one row, with a revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tidegauge.errors import Conflict
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.audit import write_audit
from tidegauge.storage.moments import to_ms
from tidegauge.storage.pool import Pool

_AT_MOST_S = 10.0

_READ = "SELECT revision, document, changed_by, changed_at FROM alert_routing"
_READ_OTHER = _READ + " WHERE revision <> %s"
_REPLACE = """
UPDATE alert_routing SET
    revision = revision + 1, document = %(document)s, changed_by = %(by)s, changed_at = now()
WHERE revision = %(revision)s
RETURNING revision, document, changed_by, changed_at
"""


@dataclass(frozen=True, slots=True)
class StoredRouting:
    """The document as it was sent, its revision, who changed it last and when (Unix ms)."""

    revision: int
    document: Mapping[str, Any]
    changed_by: str
    changed_ms: int


class AlertRoutes:
    """The routing document; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read(self) -> StoredRouting:
        """Return the document.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ)
            return _make_stored(lent.fetchall()[0])

    def find_other(self, revision: int) -> StoredRouting | None:
        """Return the document if it has another revision than this one.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_OTHER, (revision,))
            rows = lent.fetchall()
            return _make_stored(rows[0]) if rows else None

    def replace(
        self, document: Mapping[str, Any], audit: AuditEntry, *, revision: int, by: str
    ) -> StoredRouting:
        """Store a document over the one of this revision.

        Raises:
            Conflict: it has another one by now. Unavailable.
        """
        values = {"document": orjson.dumps(document).decode(), "revision": revision, "by": by}
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_REPLACE, values)
            rows = lent.fetchall()
            if not rows:
                lent.execute(_READ)
                current = lent.fetchall()[0][0]
                raise Conflict(
                    f"the routing is at revision {current}, the change was made to {revision}; "
                    "read it again"
                )
            write_audit(lent, audit)
            return _make_stored(rows[0])


def _make_stored(row: tuple[Any, ...]) -> StoredRouting:
    return StoredRouting(row[0], row[1], row[2], to_ms(row[3]))
