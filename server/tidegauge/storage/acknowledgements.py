"""The table of acknowledgements: somebody has taken on what fires."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import cursor

from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.alert_events import AlertEvent
from tidegauge.storage.audit import write_audit
from tidegauge.storage.moments import to_moment, to_ms
from tidegauge.storage.pool import Pool

_AT_MOST_S = 10.0

# With the row held, an evaluator that ends the alert comes before this, and nothing is written, or
# after it, and ends the acknowledgement.
_PUT = """
WITH firing AS (
    SELECT event_id FROM alert_instances
    WHERE rule_id = %(rule_id)s AND state = 'firing' AND event_id = ANY(%(event_ids)s::bigint[])
    ORDER BY fingerprint FOR SHARE
)
INSERT INTO alert_acknowledgements (event_id, keep_repeating, comment, made_by, made_at)
SELECT event_id, %(keep_repeating)s, %(comment)s, %(made_by)s, %(made_at)s FROM firing
ON CONFLICT (event_id) DO UPDATE SET
    keep_repeating = excluded.keep_repeating, comment = excluded.comment,
    made_by = excluded.made_by, made_at = excluded.made_at
RETURNING event_id
"""
_DELETE = """
DELETE FROM alert_acknowledgements WHERE event_id = ANY(%s::bigint[]) AND ended_at IS NULL
RETURNING event_id
"""
_END = """
UPDATE alert_acknowledgements SET ended_at = ended.at
FROM unnest(%s::bigint[], %s::timestamptz[]) AS ended (event_id, at)
WHERE alert_acknowledgements.event_id = ended.event_id
"""
_READ = """
SELECT event_id, keep_repeating, comment, made_by, made_at, ended_at
FROM alert_acknowledgements WHERE event_id = ANY(%s::bigint[])
"""
_READ_QUIET = """
SELECT event_id FROM alert_acknowledgements WHERE ended_at IS NULL AND NOT keep_repeating
"""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has taken on what fires.

    Args:
        comment: what they say of it.
        made_by: their name.
        made_ms: when, Unix ms.
        keep_repeating: whether people are told again all the same.
        event_id: the event by which the alert began to fire; 0: not known yet.
        ended_ms: when it ceased to, Unix ms; None: it fires.
    """

    comment: str
    made_by: str
    made_ms: int
    keep_repeating: bool = False
    event_id: int = 0
    ended_ms: int | None = None


def end_acknowledgements(lent: cursor, events: Sequence[AlertEvent]) -> None:
    """End, in the transaction at hand, those of alerts that cease to fire by these events."""
    ended = [(one.fired_event_id, to_moment(one.at_ms)) for one in events if one.fired_event_id]
    if ended:
        lent.execute(_END, ([number for number, _ in ended], [moment for _, moment in ended]))


class Acknowledgements:
    """Acknowledgements; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def put(
        self, rule_id: int, event_ids: Sequence[int], made: Acknowledgement, audit: AuditEntry
    ) -> set[int]:
        """Acknowledge alerts of a rule, by the events by which they began to fire.

        Returns:
            Those that still fire: there is nothing to acknowledge of others.
        Raises:
            Unavailable.
        """
        values = {
            "rule_id": rule_id,
            "event_ids": list(event_ids),
            "keep_repeating": made.keep_repeating,
            "comment": made.comment,
            "made_by": made.made_by,
            "made_at": to_moment(made.made_ms),
        }
        return self._change(_PUT, values, audit)

    def delete(self, event_ids: Sequence[int], audit: AuditEntry) -> set[int]:
        """Take acknowledgements of what still fires back; return those that there were.

        Raises:
            Unavailable.
        """
        return self._change(_DELETE, (list(event_ids),), audit)

    def read(self, event_ids: Sequence[int]) -> dict[int, Acknowledgement]:
        """Return the acknowledgements of these firings, by event.

        Raises:
            Unavailable.
        """
        if not event_ids:
            return {}
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ, (list(event_ids),))
            return {
                row[0]: Acknowledgement(
                    event_id=row[0],
                    keep_repeating=row[1],
                    comment=row[2],
                    made_by=row[3],
                    made_ms=to_ms(row[4]),
                    ended_ms=to_ms(row[5]),
                )
                for row in lent.fetchall()
            }

    def read_quiet(self) -> frozenset[int]:
        """Return the firings of which people are not told again, by event.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_QUIET)
            return frozenset(row[0] for row in lent.fetchall())

    def _change(self, statement: str, values: Any, audit: AuditEntry) -> set[int]:
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(statement, values)
            changed = {row[0] for row in lent.fetchall()}
            if changed:
                write_audit(lent, audit)
            return changed
