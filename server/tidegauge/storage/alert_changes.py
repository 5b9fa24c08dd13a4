"""Writes what evaluations come to: states, events and notifications, all or nothing, fenced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from psycopg2.extensions import cursor

from tidegauge.model.alerts import AlertInstance, AlertRule, AlertState, LastEvaluation
from tidegauge.model.routing import RoutedChannel
from tidegauge.storage.acknowledgements import end_acknowledgements
from tidegauge.storage.alert_events import AlertEvent, record_events
from tidegauge.storage.alert_instances import (
    Key,
    delete_instances,
    put_instances,
    read_instances,
)
from tidegauge.storage.alert_lease import hold_lease
from tidegauge.storage.moments import to_moment
from tidegauge.storage.outbox import NewNotification, enqueue, read_told
from tidegauge.storage.pool import Pool
from tidegauge.storage.recording_rules import note_recordings

_AT_MOST_S = 10.0

# Whoever changes or deletes a rule waits for the evaluation of it at hand, and the other way round.
_LOCK_RULES = """
SELECT id, revision FROM alert_rules WHERE id = ANY(%s::integer[]) ORDER BY id FOR SHARE
"""
_NOTE = """
INSERT INTO alert_evaluations (rule_id, evaluated_at, took_ms, series, missed, error)
SELECT * FROM unnest(%s::integer[], %s::timestamptz[], %s::float8[], %s::integer[], %s::bigint[],
    %s::text[]) AS new (rule_id)
ORDER BY new.rule_id
ON CONFLICT (rule_id) DO UPDATE SET
    evaluated_at = excluded.evaluated_at, took_ms = excluded.took_ms, series = excluded.series,
    missed = alert_evaluations.missed + excluded.missed, error = excluded.error
"""


@dataclass(frozen=True, slots=True)
class Change:
    """What one evaluation changes of one label set.

    Args:
        instance: how it stands now; inactive: it is forgotten.
        event: what happened; None: only figures moved.
        payload: what people are told, without the event's id; None: nothing.
        channels: whom to tell. Of an end those are told who were of its beginning, and these only
            where nobody knows any more who that was.
        forgotten: it need not be remembered any longer.
    """

    instance: AlertInstance
    event: AlertEvent | None = None
    payload: Mapping[str, object] | None = None
    channels: tuple[RoutedChannel, ...] = ()
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One evaluation of one rule.

    Args:
        rule: as it was evaluated.
        at_ms: when, Unix ms by the database's clock.
        took_ms: how long the query took.
        series: how many series it gave.
        missed: how many intervals before this one nobody evaluated.
        error: why the query failed; "" where it did not.
        changes: what is to be stored.
    """

    rule: AlertRule
    at_ms: int
    took_ms: float
    series: int
    missed: int
    error: str
    changes: Sequence[Change]


class AlertChanges:
    """The evaluator's way into the database.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read_instances(self) -> dict[int, list[AlertInstance]]:
        """Return all label sets that are not inactive, by rule.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            return read_instances(lent)

    @contextmanager
    def holding(self, token: int) -> Iterator[None]:
        """Let nobody take the lease over while the block runs, which must be short.

        Raises:
            LeaseLost: somebody has; the block does not run. Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            hold_lease(lent, token)
            yield

    def write(
        self,
        token: int,
        evaluated: Sequence[Evaluated],
        recorded: Sequence[tuple[int, LastEvaluation]] = (),
    ) -> dict[Key, int]:
        """Store evaluations in one transaction; a rule that was changed meanwhile is left out.

        Args:
            token: of the lease under which they were made.
            evaluated: at most one of each alerting rule.
            recorded: how recording rules went, by the rule's id; at most one of each.
        Returns:
            The ids of the new events, by rule and label set.
        Raises:
            LeaseLost: another evaluator is at work; nothing was stored.
            Unavailable: nobody can say whether it was.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            hold_lease(lent, token)
            lent.execute(_LOCK_RULES, ([one.rule.id for one in evaluated],))
            revisions = dict(lent.fetchall())
            valid = [one for one in evaluated if revisions.get(one.rule.id) == one.rule.revision]
            ids = write_changes(
                lent, [(one.rule, change) for one in valid for change in one.changes]
            )
            _note_evaluations(lent, valid)
            note_recordings(lent, recorded)
            return ids


def write_changes(lent: cursor, changes: Sequence[tuple[AlertRule, Change]]) -> dict[Key, int]:
    """Store changes in the transaction at hand; return the ids of the new events."""
    with_events = [(rule, one, one.event) for rule, one in changes if one.event is not None]
    numbers = record_events(lent, [event for _, _, event in with_events])
    ids = {
        (rule.id, one.instance.labels): number
        for (rule, one, _), number in zip(with_events, numbers, strict=True)
    }
    stored: list[tuple[int, AlertInstance]] = []
    gone: list[Key] = []
    for rule, one in changes:
        key = (rule.id, one.instance.labels)
        if one.forgotten or one.instance.state is AlertState.INACTIVE:
            gone.append(key)
        else:
            event_id = ids.get(key, one.instance.event_id)
            stored.append((rule.id, replace(one.instance, event_id=event_id)))
    put_instances(lent, stored)
    delete_instances(lent, gone)
    # After the instances, on which whoever acknowledges holds a lock: none is left standing.
    end_acknowledgements(lent, [event for _, _, event in with_events])
    enqueue(lent, _make_notifications(lent, changes, ids))
    return ids


def _make_notifications(
    lent: cursor, changes: Sequence[tuple[AlertRule, Change]], ids: Mapping[Key, int]
) -> list[NewNotification]:
    # Until now, the event of an alert that ends is that of its beginning.
    ended = [one.instance.event_id for _, one in changes if _tells_of_end(one)]
    told_before = read_told(lent, ended)
    new: list[NewNotification] = []
    for rule, one in changes:
        if one.payload is None:
            continue
        event_id = ids.get((rule.id, one.instance.labels), one.instance.event_id)
        payload = {**one.payload, "event_id": event_id}
        before = told_before.get(one.instance.event_id) if _tells_of_end(one) else None
        new += [
            NewNotification.to(routed, event_id=event_id, rule_id=rule.id, payload=payload)
            for routed in before or one.channels
        ]
    return new


def _tells_of_end(change: Change) -> bool:
    return change.payload is not None and change.payload["status"] == "resolved"


def _note_evaluations(lent: cursor, evaluated: Sequence[Evaluated]) -> None:
    if evaluated:
        lent.execute(
            _NOTE,
            (
                [one.rule.id for one in evaluated],
                [to_moment(one.at_ms) for one in evaluated],
                [one.took_ms for one in evaluated],
                [one.series for one in evaluated],
                [one.missed for one in evaluated],
                [one.error for one in evaluated],
            ),
        )
