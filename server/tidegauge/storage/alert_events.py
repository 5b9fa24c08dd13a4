"""The table of what alerts went through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from psycopg2.extensions import cursor

from tidegauge.model.alerts import AlertState
from tidegauge.model.labels import Labels, make_labels
from tidegauge.storage.moments import to_moment, to_ms
from tidegauge.storage.pool import Pool

_AT_MOST_S = 10.0

_RECORD = """
INSERT INTO alert_events
    (rule_id, rule_name, severity, labels, previous, state, value, at, details, fired_event_id)
SELECT rule_id, rule_name, severity, labels, previous, state, value, at, details, fired_event_id
FROM unnest(%s::integer[], %s::text[], %s::text[], %s::jsonb[], %s::text[], %s::text[],
    %s::float8[], %s::timestamptz[], %s::jsonb[], %s::bigint[])
    WITH ORDINALITY AS new (rule_id, rule_name, severity, labels, previous, state, value, at,
        details, fired_event_id, place)
ORDER BY place
RETURNING id
"""
_READ_PAGE = """
SELECT rule_id, rule_name, severity, labels, previous, state, value, at, details, id,
    fired_event_id, notification_failed
FROM alert_events
WHERE rule_id = %(rule_id)s AND (%(before)s::bigint IS NULL OR id < %(before)s)
    AND (%(start)s::timestamptz IS NULL OR at >= %(start)s)
    AND (%(end)s::timestamptz IS NULL OR at <= %(end)s)
ORDER BY id DESC LIMIT %(limit)s
"""
_READ_RANGE = """
SELECT rule_id, rule_name, severity, labels, previous, state, value, at, details, id,
    fired_event_id, notification_failed
FROM alert_events
WHERE at BETWEEN %(start)s AND %(end)s AND (state = 'firing' OR previous = 'firing')
ORDER BY id DESC LIMIT %(limit)s
"""
_READ_UNHEARD = """
SELECT id FROM alert_events WHERE id = ANY (%s::bigint[]) AND notification_failed
"""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One change of state.

    Args:
        rule_id: the rule; None: it is gone.
        rule_name, severity: as the rule had them then.
        labels: the alert's, with those of the rule.
        previous, state: from what to what.
        value: the query's; None: there was none.
        at_ms: when, Unix ms by the database's clock.
        details: more, as why it ended.
        id: 0 before it is stored.
        fired_event_id: of an end of firing, the event by which that began; None: there is none.
        notification_failed: whether somebody was to hear of it, and that was given up.
    """

    rule_id: int | None
    rule_name: str
    severity: str
    labels: Labels
    previous: AlertState
    state: AlertState
    value: float | None
    at_ms: int
    details: Mapping[str, object] = field(default_factory=dict)
    id: int = 0
    fired_event_id: int | None = None
    notification_failed: bool = False


def record_events(lent: cursor, events: Sequence[AlertEvent]) -> list[int]:
    """Store events in the transaction at hand; return their ids, in their order."""
    if not events:
        return []
    lent.execute(
        _RECORD,
        (
            [one.rule_id for one in events],
            [one.rule_name for one in events],
            [one.severity for one in events],
            [orjson.dumps(dict(one.labels)).decode() for one in events],
            [one.previous.value for one in events],
            [one.state.value for one in events],
            [one.value for one in events],
            [to_moment(one.at_ms) for one in events],
            [orjson.dumps(dict(one.details)).decode() for one in events],
            [one.fired_event_id for one in events],
        ),
    )
    # The ids were given in the order of the rows.
    return sorted(row[0] for row in lent.fetchall())


class AlertEvents:
    """What alerts went through; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read_page(
        self,
        rule_id: int,
        *,
        before: int | None,
        start_ms: int | None,
        end_ms: int | None,
        limit: int,
    ) -> list[AlertEvent]:
        """Return events of a rule, newest first.

        Args:
            before: only those with a smaller id, to turn the page; None: from the newest.
            start_ms, end_ms: only those within; None where it is open.
            limit: at most so many.
        Raises:
            Unavailable.
        """
        values = {"rule_id": rule_id, "before": before, "limit": limit}
        return self._read(_READ_PAGE, values, start_ms, end_ms)

    def read_range(self, *, start_ms: int, end_ms: int, limit: int) -> list[AlertEvent]:
        """Return the newest events of all rules by which something began or ceased to fire.

        Raises:
            Unavailable.
        """
        return self._read(_READ_RANGE, {"limit": limit}, start_ms, end_ms)

    def read_unheard(self, ids: Sequence[int]) -> frozenset[int]:
        """Return which of these events somebody was to hear of, and that was given up.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_UNHEARD, (list(ids),))
            return frozenset(row[0] for row in lent.fetchall())

    def _read(
        self, statement: str, values: Mapping[str, object], start_ms: int | None, end_ms: int | None
    ) -> list[AlertEvent]:
        range_of_time = {"start": to_moment(start_ms), "end": to_moment(end_ms)}
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(statement, {**values, **range_of_time})
            return [
                AlertEvent(
                    rule_id=row[0],
                    rule_name=row[1],
                    severity=row[2],
                    labels=make_labels(row[3]),
                    previous=AlertState(row[4]),
                    state=AlertState(row[5]),
                    value=row[6],
                    at_ms=to_ms(row[7]),
                    details=row[8],
                    id=row[9],
                    fired_event_id=row[10],
                    notification_failed=row[11],
                )
                for row in lent.fetchall()
            ]
