"""The table of notifications: put there with the change they tell of, claimed, tried, settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from psycopg2.extensions import cursor

from tidegauge.storage.moments import to_ms
from tidegauge.storage.pool import Pool

MAX_ANSWER_CHARS = 1000

_ENQUEUE = """
INSERT INTO notifications (event_id, rule_id, channel, payload)
SELECT event_id, rule_id, channel, payload
FROM unnest(%s::bigint[], %s::integer[], %s::jsonb[], %s::jsonb[])
    WITH ORDINALITY AS new (event_id, rule_id, channel, payload, place)
ORDER BY place
"""
# A later notification of one alert waits for the earlier one to the same target: nobody shall
# hear "resolved" first and "firing" after it.
_CLAIM = """
UPDATE notifications SET
    attempts = attempts + 1,
    claimed_until = now() + make_interval(secs => %(claim_s)s)
WHERE id IN (
    SELECT due.id FROM notifications AS due
    WHERE due.state = 'pending' AND due.next_attempt_at <= now()
        AND (due.claimed_until IS NULL OR due.claimed_until <= now())
        AND due.channel <> ALL (%(busy)s::jsonb[])
        AND NOT EXISTS (
            SELECT FROM notifications AS earlier
            WHERE earlier.state = 'pending' AND earlier.rule_id = due.rule_id
                AND earlier.id < due.id AND earlier.channel = due.channel
                AND earlier.payload -> 'labels' = due.payload -> 'labels'
        )
    ORDER BY due.next_attempt_at, due.id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING id, event_id, rule_id, channel, payload, attempts, idempotency_key::text,
    extract(epoch FROM now() - created_at)::float8, claimed_until
"""
_SETTLE = """
UPDATE notifications SET
    state = %(state)s, last_answer = %(answer)s, claimed_until = NULL, finished_at = now()
WHERE id = %(id)s AND state = 'pending'
    AND (%(state)s = 'sent' OR claimed_until = %(claimed_until)s)
"""
_POSTPONE = """
UPDATE notifications SET
    next_attempt_at = now() + make_interval(secs => %(after_s)s),
    attempts = attempts - %(uncounted)s, last_answer = %(answer)s, claimed_until = NULL
WHERE id = %(id)s AND state = 'pending' AND claimed_until = %(claimed_until)s
"""
_READ_LOG = """
SELECT id, event_id, rule_id, channel, payload, state, attempts, idempotency_key::text,
    last_answer, created_at, next_attempt_at, finished_at
FROM notifications
WHERE rule_id = %(rule_id)s AND (%(before)s::bigint IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class NewNotification:
    """What somebody is to be told.

    Args:
        event_id: the row of alert_events.
        rule_id: the rule.
        channel: `type`, `target` and options.
        payload: `status`, `rule`, `labels`, `annotations`, `value`, `starts_at`, `ends_at`,
            `event_id`; times in Unix ms.
    """

    event_id: int
    rule_id: int
    channel: Mapping[str, Any]
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClaimedNotification:
    """One that this process is to deliver, until its claim runs out.

    Args:
        id: of the row.
        event_id, rule_id, channel, payload: as they were put in.
        attempt: which one this is, from 1.
        idempotency_key: a UUID, the same at each attempt.
        age_s: seconds since it was put in.
        claimed_until: what the claim is known by.
    """

    id: int
    event_id: int
    rule_id: int
    channel: Mapping[str, Any]
    payload: Mapping[str, Any]
    attempt: int
    idempotency_key: str
    age_s: float
    claimed_until: datetime


@dataclass(frozen=True, slots=True)
class LoggedNotification:
    """A row of the delivery log; see the table's comments. Times are Unix ms."""

    id: int
    event_id: int
    rule_id: int
    channel: Mapping[str, Any]
    payload: Mapping[str, Any]
    state: str
    attempts: int
    idempotency_key: str
    last_answer: str
    created_ms: int
    next_attempt_ms: int
    finished_ms: int | None


def enqueue(lent: cursor, notifications: Sequence[NewNotification]) -> None:
    """Put notifications into the outbox, in the transaction at hand, in their order."""
    if not notifications:
        return
    lent.execute(
        _ENQUEUE,
        (
            [one.event_id for one in notifications],
            [one.rule_id for one in notifications],
            [orjson.dumps(dict(one.channel)).decode() for one in notifications],
            [orjson.dumps(dict(one.payload)).decode() for one in notifications],
        ),
    )


class Outbox:
    """The notifications to deliver; safe to use from many threads and processes.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def claim_due(
        self, *, limit: int, claim_s: float, busy: Sequence[str] = ()
    ) -> list[ClaimedNotification]:
        """Take what is due, so that nobody else does while the claim lasts; an attempt begins.

        Args:
            limit: at most so many.
            claim_s: after so many seconds others may take what was not settled.
            busy: channels to leave alone, as JSON.
        Raises:
            Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_CLAIM, {"limit": limit, "claim_s": claim_s, "busy": list(busy)})
            return sorted((ClaimedNotification(*row) for row in lent.fetchall()), key=_by_id)

    def mark_sent(self, claimed: ClaimedNotification, *, answer: str) -> bool:
        """Record that it was delivered; return False where that was settled meanwhile.

        Raises:
            Unavailable.
        """
        return self._settle(claimed, "sent", answer)

    def mark_failed(self, claimed: ClaimedNotification, *, answer: str) -> bool:
        """Give it up; return False where the claim had run out.

        Raises:
            Unavailable.
        """
        return self._settle(claimed, "failed", answer)

    def mark_for_retry(
        self, claimed: ClaimedNotification, *, after_s: float, answer: str, counted: bool = True
    ) -> bool:
        """Put it back; return False where the claim had run out.

        Args:
            after_s: seconds from now until it is due again.
            answer: why.
            counted: whether this was an attempt; False where the target was not tried.
        Raises:
            Unavailable.
        """
        values = {"after_s": after_s, "uncounted": 0 if counted else 1}
        return self._change(_POSTPONE, claimed, answer, values)

    def read_log(self, rule_id: int, *, before: int | None, limit: int) -> list[LoggedNotification]:
        """Return the notifications of a rule, newest first.

        Args:
            rule_id: the rule.
            before: only those with a smaller id, to turn the page; None: from the newest.
            limit: at most so many.
        Raises:
            Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_READ_LOG, {"rule_id": rule_id, "before": before, "limit": limit})
            return [_read_logged(row) for row in lent.fetchall()]

    def _settle(self, claimed: ClaimedNotification, state: str, answer: str) -> bool:
        return self._change(_SETTLE, claimed, answer, {"state": state})

    def _change(
        self,
        statement: str,
        claimed: ClaimedNotification,
        answer: str,
        values: Mapping[str, object],
    ) -> bool:
        given = {"id": claimed.id, "claimed_until": claimed.claimed_until}
        with self._pool.transaction() as lent:
            lent.execute(statement, {**values, **given, "answer": _storable(answer)})
            return lent.rowcount == 1


def _read_logged(row: Sequence[Any]) -> LoggedNotification:
    *_, answer, created_at, next_attempt_at, finished_at = row
    return LoggedNotification(
        id=row[0],
        event_id=row[1],
        rule_id=row[2],
        channel=row[3],
        payload=row[4],
        state=row[5],
        attempts=row[6],
        idempotency_key=row[7],
        last_answer=answer,
        created_ms=to_ms(created_at),
        next_attempt_ms=to_ms(next_attempt_at),
        finished_ms=to_ms(finished_at),
    )


def _by_id(claimed: ClaimedNotification) -> int:
    return claimed.id


def _storable(answer: str) -> str:
    # What a stranger's server says may hold anything.
    whole = answer.replace("\0", "\ufffd").encode(errors="replace").decode()
    return whole[:MAX_ANSWER_CHARS]
