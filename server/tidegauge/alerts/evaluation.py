"""What one answer to a rule's query means for each of its label sets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidegauge.alerts.payloads import alert_annotations, alert_labels, make_payload
from tidegauge.alerts.state import RESOLVED_KEPT_MS, Seen, Timing, advance, holds
from tidegauge.alerts.telling import choose_channels, due_again, may_be_due_again, own_channels
from tidegauge.errors import QueryFailed
from tidegauge.model.alerts import ACTIVE_STATES, AlertInstance, AlertRule, AlertState, Policy
from tidegauge.model.labels import EMPTY_LABELS, Labels, drop_name
from tidegauge.model.routing import RoutedChannel, Routing
from tidegauge.model.silences import Muting
from tidegauge.promql.value import Result, Scalar, Vector
from tidegauge.storage.alert_changes import Change
from tidegauge.storage.alert_events import AlertEvent

MAX_ALERTS = 2000
"""Most alerts of one rule; more tell nobody more."""

NO_ROUTES = Routing()

Expand = Callable[[AlertRule, AlertInstance], Mapping[str, str]]
"""Returns a rule's annotations, filled in for an alert."""

Judgement = tuple[Labels, Seen, float | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule's query gave.

    Args:
        series: label sets without the metric's name, each once, and their values.
        error: why it failed; "": it did not.
    """

    series: Sequence[tuple[Labels, float]] = ()
    error: str = ""


def read_outcome(result: Result) -> Outcome:
    """Return the series of an instant query.

    Raises:
        QueryFailed: two series differ by their metric only, or it gives no numbers.
    """
    series = [(drop_name(labels), value) for labels, value in read_samples(result)]
    if len({labels for labels, _ in series}) < len(series):
        raise QueryFailed("two series of the query have the same labels without their metric names")
    return Outcome(series)


def read_samples(result: Result) -> list[tuple[Labels, float]]:
    """Return the labels and the value of each series of an instant query.

    Raises:
        QueryFailed: it gives no numbers.
    """
    value = result.value
    if isinstance(value, Scalar):
        return [(EMPTY_LABELS, float(value.values[0]))]
    if not isinstance(value, Vector):
        raise QueryFailed("the query of an alert rule gives neither an instant vector nor a scalar")
    shown = np.flatnonzero(value.present[:, 0]).tolist()
    return [(value.labels[row], float(value.values[row, 0])) for row in shown]


def evaluate(
    rule: AlertRule,
    standing: Mapping[Labels, AlertInstance],
    outcome: Outcome,
    *,
    elapsed_ms: int,
    now_ms: int,
    expand: Expand,
    silences: Sequence[Muting] = (),
    acknowledged: Collection[int] = (),
    routing: Routing = NO_ROUTES,
) -> list[Change]:
    """Return what is to be stored after one evaluation.

    Args:
        rule: the rule.
        standing: its label sets that are not inactive.
        outcome: what its query gave.
        elapsed_ms: the time since its evaluation before.
        now_ms: when it is, Unix ms.
        expand: fills in its annotations.
        silences: of which alerts nobody is told that they fire: maintenance windows, too.
        acknowledged: the events of firings of which nobody is told again.
        routing: whom to tell where the rule does not say.
    Raises:
        QueryFailed: more label sets than MAX_ALERTS are bad, or more alerts than the rule's limit.
    """
    timing = Timing(hold_ms=rule.hold_ms, keep_firing_ms=rule.keep_firing_ms)
    changes, bad, active = [], 0, 0
    for labels, seen, value in _judge(rule, outcome, standing):
        before = standing.get(labels) or AlertInstance(labels)
        after = advance(
            before, seen, value=value, elapsed_ms=elapsed_ms, now_ms=now_ms, timing=timing
        )
        bad += seen is Seen.TRUE
        if bad > MAX_ALERTS:
            raise QueryFailed(f"more than {MAX_ALERTS} series are bad; aggregate them in the query")
        active += after.state in ACTIVE_STATES
        change = _make_change(rule, before, after, now_ms, expand, silences, acknowledged, routing)
        if change is not None:
            changes.append(change)
    # What a failed query leaves standing is no news.
    if rule.limit and active > rule.limit and not outcome.error:
        raise QueryFailed(f"exceeded limit of {rule.limit} with {active} alerts")
    return changes


def end_alert(rule: AlertRule, instance: AlertInstance, *, reason: str, now_ms: int) -> Change:
    """Return the end of a label set whose rule is no more what it was; who was told is told."""
    firing = instance.state is AlertState.FIRING
    if instance.state is AlertState.RESOLVED:
        return Change(instance, forgotten=True)
    ended = replace(
        instance,
        state=AlertState.RESOLVED if firing else AlertState.INACTIVE,
        resolved_ms=now_ms if firing else None,
    )
    return Change(
        ended,
        event=_make_event(rule, instance, ended, now_ms, {"reason": reason}),
        payload=make_payload(rule, ended, "resolved", alert_annotations(rule, ended, now_ms=now_ms))
        if firing and instance.notified_ms is not None
        else None,
        channels=own_channels(rule),
        forgotten=True,
    )


def _judge(
    rule: AlertRule, outcome: Outcome, standing: Mapping[Labels, AlertInstance]
) -> Iterator[Judgement]:
    if outcome.error or not outcome.series:
        policy = rule.on_error if outcome.error else rule.no_data
        # One alert for the rule as a whole: a lost source must not ring once for every series.
        if policy is Policy.FIRE:
            yield EMPTY_LABELS, Seen.TRUE, None
        for labels in standing:
            if policy is not Policy.FIRE or labels != EMPTY_LABELS:
                yield _judge_missing(labels, policy)
        return
    present = set()
    for labels, value in outcome.series:
        bad = holds(rule.condition, value, rule.threshold)
        present.add(labels)
        if bad or labels in standing:
            yield labels, Seen.TRUE if bad else Seen.FALSE, value
    for labels in standing:
        if labels not in present:
            # That of the rule as a whole is over as soon as anything is known.
            yield _judge_missing(labels, rule.no_data if labels else Policy.RESOLVE)


def _judge_missing(labels: Labels, policy: Policy) -> Judgement:
    return labels, Seen.FALSE if policy is Policy.RESOLVE else Seen.UNKNOWN, None


def _make_change(
    rule: AlertRule,
    before: AlertInstance,
    after: AlertInstance,
    now_ms: int,
    expand: Expand,
    silences: Sequence[Muting],
    acknowledged: Collection[int],
    routing: Routing,
) -> Change | None:
    status, channels = _choose_told(rule, before, after, now_ms, routing)
    muted_by = None
    if status == "repeat" and after.event_id in acknowledged:
        status = ""
    # Who was told that it fires is told that it is over, in a silence, too.
    if status in ("firing", "repeat"):
        labels = alert_labels(rule, after)
        muted_by = next((one for one in silences if one.covers(labels, now_ms)), None)
    told, payload = after, None
    if status and muted_by is None:
        told = replace(after, notified_ms=now_ms)
        payload = make_payload(rule, told, status, expand(rule, told))
    if before.state is not after.state:
        details = {} if muted_by is None else muted_by.details
        event = _make_event(rule, before, after, now_ms, details)
        return Change(told, event=event, payload=payload, channels=channels)
    if after.state is AlertState.RESOLVED:
        old = now_ms - (after.resolved_ms or 0) >= RESOLVED_KEPT_MS
        return Change(after, forgotten=True) if old else None
    return None if told == before else Change(told, payload=payload, channels=channels)


def _choose_told(
    rule: AlertRule, before: AlertInstance, after: AlertInstance, now_ms: int, routing: Routing
) -> tuple[str, tuple[RoutedChannel, ...]]:
    """Return what is to be told, were it not for silences, and to whom; "" for nothing."""
    if after.state is AlertState.FIRING:
        if after.notified_ms is None:
            channels = choose_channels(rule, alert_labels(rule, after), routing)
            # With nobody to tell it stays untold: who comes into the routes later hears of it.
            return ("firing" if channels else ""), channels
        if not may_be_due_again(rule, after, routing, now_ms=now_ms):
            return "", ()
        channels = choose_channels(rule, alert_labels(rule, after), routing)
        channels = due_again(channels, rule, after, now_ms=now_ms)
        return ("repeat" if channels else ""), channels
    ends = before.state is AlertState.FIRING and after.state is AlertState.RESOLVED
    if not ends or before.notified_ms is None:
        return "", ()
    return "resolved", choose_channels(rule, alert_labels(rule, after), routing)


def _make_event(
    rule: AlertRule,
    before: AlertInstance,
    after: AlertInstance,
    now_ms: int,
    details: Mapping[str, object],
) -> AlertEvent:
    return AlertEvent(
        rule_id=rule.id,
        rule_name=rule.name,
        severity=rule.severity.value,
        labels=alert_labels(rule, after),
        previous=before.state,
        state=after.state,
        value=after.value,
        at_ms=now_ms,
        details=details,
        fired_event_id=before.event_id if before.state is AlertState.FIRING else None,
    )
