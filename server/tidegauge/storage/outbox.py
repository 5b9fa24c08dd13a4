"""The table of notifications: put there with the change they tell of, claimed, tried, settled.

A row is one alert and one channel. Rows of one channel and one group key go in one message: the
first claim seals them under one key, every further attempt tells the same under it, and what comes
for the group meanwhile waits until that message is settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from psycopg2.extensions import cursor

from tidegauge.model.labels import EMPTY_LABELS, Labels, make_labels
from tidegauge.model.routing import RoutedChannel
from tidegauge.storage.moments import to_ms
from tidegauge.storage.outbox_statements import (
    CLAIM,
    CLOSE_STANDING,
    ENQUEUE,
    KEEP_APART,
    MARK_EVENTS,
    NOTE_ATTEMPT,
    POSTPONE,
    READ_LOG,
    READ_STANDING,
    READ_TOLD,
    SETTLE,
)
from tidegauge.storage.pool import Pool

MAX_ANSWER_CHARS = 1000
MAX_ALERTS = 200
"""Most alerts of one message; the others follow in the next one."""
MAX_MESSAGE_BYTES = 1_000_000
"""Most that the alerts of one message come to, unless a single one does."""


@dataclass(frozen=True, slots=True)
class NewNotification:
    """What somebody is to be told of one alert.

    Args:
        event_id: the row of alert_events.
        rule_id: the rule; None: the alert was posted by others.
        channel: `type`, `target` and options.
        payload: `status`, `rule` (None where there is none), `labels`, `series` (the labels of the
            rule's series), `annotations`, `value`, `starts_at`, `fired_at`, `ends_at`, `event_id`;
            times in Unix ms.
        receiver, group_key, group_labels, wait_ms, interval_ms: see `model.routing.RoutedChannel`.
    """

    event_id: int
    rule_id: int | None
    channel: Mapping[str, Any]
    payload: Mapping[str, Any]
    receiver: str = ""
    group_key: str = ""
    group_labels: Labels = EMPTY_LABELS
    wait_ms: int = 0
    interval_ms: int = 0

    @classmethod
    def to(
        cls,
        routed: RoutedChannel,
        *,
        event_id: int,
        rule_id: int | None,
        payload: Mapping[str, Any],
    ) -> NewNotification:
        """Return what one of those whom routing chose is to be told."""
        return cls(
            event_id=event_id,
            rule_id=rule_id,
            channel=routed.channel,
            payload=payload,
            receiver=routed.receiver,
            group_key=routed.group_key,
            group_labels=routed.group_labels,
            wait_ms=routed.wait_ms,
            interval_ms=routed.interval_ms,
        )


@dataclass(frozen=True, slots=True)
class ClaimedNotification:
    """A message that this process is to deliver, until its claim runs out.

    Args:
        ids: of its rows, ascending.
        rule_id: of the first; None: that alert was posted by others.
        channel, receiver, group_key: as they were put in.
        group_labels: by name.
        alerts: the payloads, the last one of each alert, in the order in which they were put in.
        others: the payloads of alerts of the group that were told before and fire on.
        left_out: how many more of those there are.
        attempt: which one this is, from 1.
        idempotency_key: a UUID, the same at each attempt.
        age_s: seconds since it was first tried, or its target was spared; 0: that is now.
        claimed_until: what the claim is known by.
    """

    ids: tuple[int, ...]
    rule_id: int | None
    channel: Mapping[str, Any]
    receiver: str
    group_key: str
    group_labels: Mapping[str, str]
    alerts: tuple[Mapping[str, Any], ...]
    others: tuple[Mapping[str, Any], ...]
    left_out: int
    attempt: int
    idempotency_key: str
    age_s: float
    claimed_until: datetime

    @property
    def id(self) -> int:
        """What it is called in logs: the id of its first row."""
        return self.ids[0]


@dataclass(frozen=True, slots=True)
class LoggedNotification:
    """A row of the delivery log; see the table's comments. Times are Unix ms."""

    id: int
    event_id: int
    rule_id: int | None
    channel: Mapping[str, Any]
    receiver: str
    group_key: str
    payload: Mapping[str, Any]
    state: str
    attempts: int
    idempotency_key: str
    last_answer: str
    created_ms: int
    next_attempt_ms: int
    finished_ms: int | None


@dataclass(slots=True)
class _Message:
    """The rows of a message as they were claimed, and what stands of its group, by id."""

    group_hash: str
    rows: list[Sequence[Any]] = field(default_factory=list)
    standing: list[Sequence[Any]] = field(default_factory=list)


def enqueue(lent: cursor, notifications: Sequence[NewNotification]) -> None:
    """Put notifications into the outbox, in the transaction at hand, in their order."""
    if not notifications:
        return
    lent.execute(
        ENQUEUE,
        (
            [one.event_id for one in notifications],
            [one.rule_id for one in notifications],
            [orjson.dumps(dict(one.channel)).decode() for one in notifications],
            [orjson.dumps(dict(one.payload)).decode() for one in notifications],
            [one.receiver for one in notifications],
            [one.group_key for one in notifications],
            [orjson.dumps(dict(one.group_labels)).decode() for one in notifications],
            [one.wait_ms for one in notifications],
            [one.interval_ms for one in notifications],
        ),
    )


def read_told(lent: cursor, event_ids: Sequence[int]) -> dict[int, list[RoutedChannel]]:
    """Return whom the outbox was to tell of events, by event, in the transaction at hand.

    They hear of the end, too: at once, where their group is quiet.
    """
    if not event_ids:
        return {}
    lent.execute(READ_TOLD, (list(event_ids),))
    told: dict[int, list[RoutedChannel]] = {}
    for event_id, channel, receiver, group_key, group_labels, interval_ms in lent.fetchall():
        told.setdefault(event_id, []).append(
            RoutedChannel(
                channel=channel,
                receiver=receiver,
                group_key=group_key,
                group_labels=make_labels(group_labels),
                interval_ms=interval_ms,
            )
        )
    return told


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
            limit: at most so many messages.
            claim_s: after so many seconds others may take what was not settled.
            busy: channels to leave alone, as JSON.
        Raises:
            Unavailable.
        """
        values = {"limit": limit, "claim_s": claim_s, "busy": list(busy)}
        values |= {"most": MAX_ALERTS, "most_bytes": MAX_MESSAGE_BYTES}
        with self._pool.transaction() as lent:
            lent.execute(CLAIM, values)
            messages: dict[str, _Message] = {}
            for key, group_hash, *row in sorted(lent.fetchall(), key=_by_id):
                messages.setdefault(key, _Message(group_hash)).rows.append(row)
            by_group = {one.group_hash: one for one in messages.values()}
            if by_group:
                # As many as the message may tell of anew, and as many beside them.
                of_groups = {"groups": list(by_group), "most": 2 * MAX_ALERTS}
                lent.execute(READ_STANDING, {**of_groups, "most_bytes": MAX_MESSAGE_BYTES})
                for group_hash, *standing in lent.fetchall():
                    by_group[group_hash].standing.append(standing)
        return [_make_claimed(key, one) for key, one in messages.items()]

    def mark_sent(self, claimed: ClaimedNotification, *, answer: str) -> bool:
        """Record that it was delivered; return False where that was settled meanwhile.

        Raises:
            Unavailable.
        """
        return self._settle(claimed, "sent", answer)

    def mark_failed(self, claimed: ClaimedNotification, *, answer: str) -> bool:
        """Give it up, and mark the events that nobody heard of; False where the claim had run out.

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
        with self._pool.transaction() as lent:
            lent.execute(POSTPONE, {**values, **_given(claimed, answer)})
            if lent.rowcount == 0:
                return False
            # Whoever refuses to try names a time; what is given back is due at once.
            outcome = "retry" if counted else "refused" if after_s else "given back"
            _note_attempt(lent, claimed, outcome, answer)
            return True

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
            lent.execute(READ_LOG, {"rule_id": rule_id, "before": before, "limit": limit})
            return [_read_logged(row) for row in lent.fetchall()]

    def _settle(self, claimed: ClaimedNotification, state: str, answer: str) -> bool:
        given = {"state": state, "first_id": claimed.id, **_given(claimed, answer)}
        with self._pool.transaction() as lent:
            lent.execute(SETTLE, given)
            event_ids = [event_id for (event_id,) in lent.fetchall()]
            if not event_ids:
                return False
            _note_attempt(lent, claimed, state, answer)
            lent.execute(CLOSE_STANDING, given)
            bounds = {"most": MAX_ALERTS, "most_bytes": MAX_MESSAGE_BYTES}
            lent.execute(KEEP_APART, {**given, **bounds})
            if state == "failed":
                lent.execute(MARK_EVENTS, (event_ids,))
            return True


def _given(claimed: ClaimedNotification, answer: str) -> dict[str, object]:
    return {
        "ids": list(claimed.ids),
        "claimed_until": claimed.claimed_until,
        "answer": _storable(answer),
    }


def _note_attempt(lent: cursor, claimed: ClaimedNotification, outcome: str, answer: str) -> None:
    values = {"attempt": claimed.attempt, "outcome": outcome, **_given(claimed, answer)}
    lent.execute(NOTE_ATTEMPT, values)


def _make_claimed(key: str, message: _Message) -> ClaimedNotification:
    last = {row[-1]: row[6] for row in message.rows}
    others = [payload for payload, alert, _ in message.standing if alert not in last]
    again = len(message.standing) - len(others)
    standing = message.standing[0][2] if message.standing else 0
    shown = others[: MAX_ALERTS - len(last)]
    _, rule_id, channel, receiver, group_key, labels, _, attempt, age_s, until, _ = message.rows[0]
    return ClaimedNotification(
        ids=tuple(row[0] for row in message.rows),
        rule_id=rule_id,
        channel=channel,
        receiver=receiver,
        group_key=group_key,
        group_labels=labels,
        alerts=tuple(last.values()),
        others=tuple(shown),
        left_out=standing - again - len(shown),
        attempt=attempt,
        idempotency_key=key,
        age_s=age_s,
        claimed_until=until,
    )


def _read_logged(row: Sequence[Any]) -> LoggedNotification:
    times = [to_ms(moment) for moment in row[11:]]
    return LoggedNotification(*row[:11], *times)


def _by_id(row: Sequence[Any]) -> int:
    number: int = row[2]
    return number


def _storable(answer: str) -> str:
    # What a stranger's server says may hold anything.
    whole = answer.replace("\0", "\ufffd").encode(errors="replace").decode()
    return whole[:MAX_ANSWER_CHARS]
