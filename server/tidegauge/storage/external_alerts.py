"""The table of alerts that others post, and what follows from them: all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson
from psycopg2.extensions import cursor

from tidegauge.model.alerts import AlertState
from tidegauge.model.external_alerts import ExternalAlert, Told
from tidegauge.model.labels import Labels, make_labels
from tidegauge.model.routing import RoutedChannel
from tidegauge.storage.alert_events import AlertEvent, record_events
from tidegauge.storage.alert_lease import hold_lease
from tidegauge.storage.moments import to_moment, to_ms
from tidegauge.storage.outbox import NewNotification, enqueue
from tidegauge.storage.pool import Pool

# An evaluator's round waits for it between two renewals of its lease.
_AT_MOST_S = 3.0

# One change of posted alerts at a time: two senders of the same one must not both tell of it. Who
# stands still in the middle of a change must not keep the others out.
_LOCK = """
SET LOCAL idle_in_transaction_session_timeout = '5s';
SELECT pg_advisory_xact_lock(hashtext('tidegauge.external_alerts'), 1)
"""
_NOW = "SELECT clock_timestamp()"
_COLUMNS = """
SELECT labels, annotations, generator_url, state, starts_at, ends_at, timed_out, updated_at, told,
    event_id
FROM external_alerts
"""
_READ_KNOWN = _COLUMNS + "WHERE fingerprint = ANY(%s::bytea[])"
_READ_DUE = _COLUMNS + "WHERE look_at <= %s ORDER BY look_at LIMIT %s"
_READ_FIRING = _COLUMNS + "WHERE state = 'firing' AND ends_at > now() ORDER BY fingerprint"
_HAS_DUE = "SELECT EXISTS (SELECT FROM external_alerts WHERE look_at <= clock_timestamp())"
_COUNT = "SELECT count(*) FROM external_alerts"
_PUT = """
INSERT INTO external_alerts (fingerprint, labels, annotations, generator_url, state, starts_at,
    ends_at, timed_out, updated_at, told, event_id, look_at)
SELECT * FROM unnest(%s::bytea[], %s::jsonb[], %s::jsonb[], %s::text[], %s::text[],
    %s::timestamptz[], %s::timestamptz[], %s::boolean[], %s::timestamptz[], %s::jsonb[],
    %s::bigint[], %s::timestamptz[]) AS new (fingerprint)
ON CONFLICT (fingerprint) DO UPDATE SET
    annotations = excluded.annotations, generator_url = excluded.generator_url,
    state = excluded.state, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
    timed_out = excluded.timed_out, updated_at = excluded.updated_at, told = excluded.told,
    event_id = excluded.event_id, look_at = excluded.look_at
"""
_DELETE = "DELETE FROM external_alerts WHERE fingerprint = ANY(%s::bytea[])"


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody is to hear.

    Args:
        route: whom to tell, and by which way.
        payload: what, without the event's id.
    """

    route: RoutedChannel
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ExternalChange:
    """What is to be stored of one posted alert.

    Args:
        alert: how it stands now.
        look_ms: when there is something to do about it next, Unix ms.
        event: what happened; None: only times moved.
        messages: who is to hear of it.
        forgotten: it need not be remembered any longer.
    """

    alert: ExternalAlert
    look_ms: int
    event: AlertEvent | None = None
    messages: Sequence[Message] = ()
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What there is at the moment of a change.

    Args:
        alerts: those asked for, as far as they are known.
        count: how many are known in all.
        now_ms: the database's clock, Unix ms.
    """

    alerts: Mapping[Labels, ExternalAlert]
    count: int
    now_ms: int


Settle = Callable[[Standing], Sequence[ExternalChange]]
"""Says what is to be stored; at most one change of each label set."""


class ExternalAlerts:
    """The alerts that others post; safe to use from many threads and processes.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def change_posted(self, labels: Sequence[Labels], settle: Settle) -> None:
        """Store what follows from alerts that have come in.

        Args:
            labels: their label sets.
            settle: is given what is known of them; nobody else changes any meanwhile.
        Raises:
            Unavailable: nobody can say whether it was stored.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_LOCK)
            now_ms = _read_now(lent)
            lent.execute(_READ_KNOWN, ([_key(one) for one in labels],))
            known = [_read(row) for row in lent.fetchall()]
            lent.execute(_COUNT)
            ((count,),) = lent.fetchall()
            standing = Standing({one.labels: one for one in known}, count, now_ms)
            _write(lent, settle(standing))

    def has_due(self) -> bool:
        """Return whether there is something to do about any.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_HAS_DUE)
            ((due,),) = lent.fetchall()
            return bool(due)

    def change_due(self, token: int, settle: Settle, *, limit: int) -> int:
        """Store what follows from time for alerts about which there is something to do.

        Args:
            token: of the lease of the evaluator that does it.
            settle: is given those that have waited longest.
            limit: at most so many.
        Returns:
            How many there were.
        Raises:
            LeaseLost: another evaluator is at work; nothing was stored.
            Unavailable: nobody can say whether it was stored.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            hold_lease(lent, token)
            lent.execute(_LOCK)
            now_ms = _read_now(lent)
            lent.execute(_READ_DUE, (to_moment(now_ms), limit))
            due = [_read(row) for row in lent.fetchall()]
            _write(lent, settle(Standing({one.labels: one for one in due}, len(due), now_ms)))
            return len(due)

    def read_firing(self) -> list[ExternalAlert]:
        """Return all that fire.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_READ_FIRING)
            return [_read(row) for row in lent.fetchall()]


def _read_now(lent: cursor) -> int:
    # A statement of its own: the wait for the lock must lie before it.
    lent.execute(_NOW)
    row: tuple[datetime] | None = lent.fetchone()
    assert row is not None
    return to_ms(row[0])


def _write(lent: cursor, changes: Sequence[ExternalChange]) -> None:
    with_events = [one.event for one in changes if one.event is not None]
    numbers = iter(record_events(lent, with_events))
    stored: list[ExternalChange] = []
    told: list[NewNotification] = []
    for one in changes:
        event_id = one.alert.event_id if one.event is None else next(numbers)
        told += [
            NewNotification.to(
                message.route,
                event_id=event_id,
                rule_id=None,
                payload={**message.payload, "event_id": event_id},
            )
            for message in one.messages
        ]
        if not one.forgotten:
            stored.append(replace(one, alert=replace(one.alert, event_id=event_id)))
    _put(lent, stored)
    gone = [_key(one.alert.labels) for one in changes if one.forgotten]
    if gone:
        lent.execute(_DELETE, (gone,))
    enqueue(lent, told)


def _put(lent: cursor, changes: Sequence[ExternalChange]) -> None:
    if not changes:
        return
    alerts = [one.alert for one in changes]
    lent.execute(
        _PUT,
        (
            [_key(one.labels) for one in alerts],
            [orjson.dumps(dict(one.labels)).decode() for one in alerts],
            [orjson.dumps(dict(one.annotations)).decode() for one in alerts],
            [one.generator_url for one in alerts],
            [one.state.value for one in alerts],
            [to_moment(one.starts_ms) for one in alerts],
            [to_moment(one.ends_ms) for one in alerts],
            [one.timed_out for one in alerts],
            [to_moment(one.updated_ms) for one in alerts],
            [orjson.dumps([_describe_told(it) for it in one.told]).decode() for one in alerts],
            [one.event_id for one in alerts],
            [to_moment(one.look_ms) for one in changes],
        ),
    )


def _describe_told(told: Told) -> dict[str, object]:
    route = {one.name: getattr(told.route, one.name) for one in fields(told.route)}
    return {**route, "group_labels": dict(told.route.group_labels), "at_ms": told.at_ms}


def _read_told(row: Mapping[str, Any]) -> Told:
    route = {name: row[name] for name in row if name != "at_ms"}
    route["group_labels"] = make_labels(route["group_labels"])
    return Told(RoutedChannel(**route), row["at_ms"])


def _read(row: Sequence[Any]) -> ExternalAlert:
    return ExternalAlert(
        labels=make_labels(row[0]),
        annotations=row[1],
        generator_url=row[2],
        state=AlertState(row[3]),
        starts_ms=to_ms(row[4]),
        ends_ms=to_ms(row[5]),
        timed_out=row[6],
        updated_ms=to_ms(row[7]),
        told=tuple(_read_told(one) for one in row[8]),
        event_id=row[9],
    )


def _key(labels: Labels) -> bytes:
    return blake2b(orjson.dumps(labels), digest_size=16).digest()
