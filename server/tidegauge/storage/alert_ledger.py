"""The past of one alert: its events, who was told of them, and each attempt at that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tidegauge.model.alerts import AlertState
from tidegauge.model.labels import Labels, make_labels
from tidegauge.storage.moments import to_moment, to_ms
from tidegauge.storage.pool import Pool

_AT_MOST_S = 10.0
_NEWEST_EVENTS = 2000

_READ_SPELLS = """
SELECT DISTINCT ON (labels) labels, id, state, previous, value, at, details
FROM (
    SELECT * FROM alert_events WHERE rule_id = %(rule_id)s AND at <= %(until)s
    ORDER BY id DESC LIMIT %(newest)s
) AS newest
ORDER BY labels, id DESC
"""
_READ_LAST_POSTED = """
SELECT DISTINCT ON (labels) labels, id, state, previous, value, at, details
FROM (
    SELECT * FROM alert_events WHERE rule_id IS NULL AND at <= %(until)s
    ORDER BY id DESC LIMIT %(newest)s
) AS newest
WHERE details @> '{"posted": true}'
ORDER BY labels, id DESC
"""
_READ_POSTED = """
SELECT labels, id, state, previous, value, at, details FROM alert_events
WHERE rule_id IS NULL AND jsonb_hash(labels) = jsonb_hash(%(labels)s::jsonb)
    AND labels = %(labels)s::jsonb AND at <= %(until)s
ORDER BY id DESC LIMIT %(limit)s
"""
_READ_EVENTS = """
SELECT labels, id, state, previous, value, at, details FROM alert_events
WHERE rule_id = %(rule_id)s AND jsonb_hash(labels) = jsonb_hash(%(labels)s::jsonb)
    AND labels = %(labels)s::jsonb AND at <= %(until)s
ORDER BY id DESC LIMIT %(limit)s
"""
_READ_TOLD = """
SELECT id, event_id, channel, payload ->> 'status', state, attempts, idempotency_key::text,
    last_answer, created_at, next_attempt_at, finished_at, receiver
FROM notifications
WHERE event_id = ANY(%(event_ids)s::bigint[]) AND created_at <= %(until)s
ORDER BY id DESC LIMIT %(limit)s
"""
_READ_TRIES = """
SELECT notification_id, at, attempt, outcome, answer FROM notification_attempts
WHERE notification_id = ANY(%(ids)s::bigint[]) AND at <= %(until)s
ORDER BY notification_id, at
"""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """One change of state of an alert; see `alert_events.AlertEvent`."""

    labels: Labels
    id: int
    state: AlertState
    previous: AlertState
    value: float | None
    at_ms: int
    details: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Try:
    """One time that somebody was to be told: when, Unix ms, which attempt it was, what came."""

    at_ms: int
    attempt: int
    outcome: str
    answer: str


@dataclass(frozen=True, slots=True)
class Told:
    """A notification of an alert with its attempts, oldest first. Times are Unix ms."""

    id: int
    event_id: int
    channel: Mapping[str, Any]
    status: str
    state: str
    attempts: int
    idempotency_key: str
    answer: str
    created_ms: int
    next_attempt_ms: int
    finished_ms: int | None
    receiver: str
    tries: Sequence[Try] = ()


class AlertLedger:
    """The past of single alerts; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read_last_events(self, rule_id: int | None, *, until_ms: int) -> list[PastEvent]:
        """Return the last event until a moment of each alert of a rule, of those that moved lately.

        Args:
            rule_id: the rule; None: the alerts that others posted.
        Raises:
            Unavailable.
        """
        values = {"rule_id": rule_id, "until": to_moment(until_ms), "newest": _NEWEST_EVENTS}
        statement = _READ_LAST_POSTED if rule_id is None else _READ_SPELLS
        return [_read_event(row) for row in self._read(statement, values)]

    def read_events(
        self, rule_id: int | None, labels: Labels, *, until_ms: int, limit: int
    ) -> list[PastEvent]:
        """Return the events of one alert until a moment, newest first.

        Args:
            rule_id: its rule; None: others posted it.
            labels: as its events have them, with those of the rule.
        Raises:
            Unavailable.
        """
        values = {
            "rule_id": rule_id,
            "labels": orjson.dumps(dict(labels)).decode(),
            "until": to_moment(until_ms),
            "limit": limit,
        }
        statement = _READ_POSTED if rule_id is None else _READ_EVENTS
        return [_read_event(row) for row in self._read(statement, values)]

    def read_told(self, event_ids: Sequence[int], *, until_ms: int, limit: int) -> list[Told]:
        """Return who was told of these events until a moment, newest first.

        Raises:
            Unavailable.
        """
        until = to_moment(until_ms)
        rows = self._read(
            _READ_TOLD, {"event_ids": list(event_ids), "until": until, "limit": limit}
        )
        tries: dict[int, list[Try]] = {}
        for row in self._read(_READ_TRIES, {"ids": [row[0] for row in rows], "until": until}):
            tries.setdefault(row[0], []).append(Try(to_ms(row[1]), row[2], row[3], row[4]))
        return [
            Told(
                id=row[0],
                event_id=row[1],
                channel=row[2],
                status=row[3],
                state=row[4],
                attempts=row[5],
                idempotency_key=row[6],
                answer=row[7],
                created_ms=to_ms(row[8]),
                next_attempt_ms=to_ms(row[9]),
                finished_ms=to_ms(row[10]),
                receiver=row[11],
                tries=tries.get(row[0], []),
            )
            for row in rows
        ]

    def _read(self, statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(statement, values)
            return lent.fetchall()


def _read_event(row: Sequence[Any]) -> PastEvent:
    return PastEvent(
        labels=make_labels(row[0]),
        id=row[1],
        state=AlertState(row[2]),
        previous=AlertState(row[3]),
        value=row[4],
        at_ms=to_ms(row[5]),
        details=row[6],
    )
