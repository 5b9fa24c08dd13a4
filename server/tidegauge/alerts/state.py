"""The state machine of one label set: inactive, pending, firing, resolved, pending again.

Pure: what was seen and how much time went by are arguments. `for` and `keep_firing_for` count the
time that was spent between evaluations, not the difference of two readings of a clock, which may
be set; an evaluation that learned nothing stops both.
Source: SPEC §7; Prometheus `rules/alerting.go`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tidegauge.model.alerts import ACTIVE_STATES, AlertInstance, AlertState, Condition

KEPT_UNKNOWN_MS = 86_400_000
"""A day without knowing anything ends what was kept: its source will not come back by itself."""

RESOLVED_KEPT_MS = 15 * 60_000
"""How long a resolved label set is still shown, as in Prometheus."""

COMPARE: dict[Condition, Callable[[Any, float], Any]] = {
    Condition.GT: operator.gt,
    Condition.LT: operator.lt,
    Condition.EQ: operator.eq,
    Condition.NE: operator.ne,
    Condition.GTE: operator.ge,
    Condition.LTE: operator.le,
    Condition.ANY: lambda _value, _threshold: True,
}
"""Whether a value, or each of an array of values, is bad."""


class Seen(StrEnum):
    """What an evaluation says of the condition of one label set."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take for one rule.

    Args:
        hold_ms: how long the condition holds before the alert fires.
        keep_firing_ms: how long it goes on firing when the condition holds no more.
        kept_unknown_ms: how long it stays as it is when nothing is known.
    """

    hold_ms: int
    keep_firing_ms: int = 0
    kept_unknown_ms: int = KEPT_UNKNOWN_MS


def holds(condition: Condition, value: float, threshold: float) -> bool:
    """Return whether a value is bad; NaN is only ever `ne`, as in PromQL."""
    return bool(COMPARE[condition](value, threshold))


def advance(
    instance: AlertInstance,
    seen: Seen,
    *,
    value: float | None,
    elapsed_ms: int,
    now_ms: int,
    timing: Timing,
) -> AlertInstance:
    """Return how the label set stands after one more evaluation.

    Args:
        instance: how it stood after the one before.
        seen: what was learned.
        value: the value that was seen; None: there was none.
        elapsed_ms: the time since the evaluation before, at least 0.
        now_ms: when it is, Unix ms; for the record only.
        timing: the rule's.
    """
    if seen is Seen.UNKNOWN:
        if instance.state not in ACTIVE_STATES:
            return instance
        missing_ms = 0 if instance.missing_ms is None else instance.missing_ms + elapsed_ms
        if missing_ms < timing.kept_unknown_ms:
            return replace(instance, missing_ms=missing_ms)
        return _settle(replace(instance, false_ms=timing.keep_firing_ms), 0, now_ms, timing)
    # What went by while nothing was known counts neither for the condition nor against it.
    counted_ms = elapsed_ms if instance.missing_ms is None else 0
    known = replace(instance, value=value, missing_ms=None)
    if seen is Seen.TRUE:
        return _grow(known, counted_ms, now_ms, timing)
    return _settle(known, counted_ms, now_ms, timing)


def _grow(instance: AlertInstance, elapsed_ms: int, now_ms: int, timing: Timing) -> AlertInstance:
    if instance.state is AlertState.FIRING:
        return replace(instance, false_ms=None)
    if instance.state is AlertState.PENDING:
        held_ms, active_ms = instance.held_ms + elapsed_ms, instance.active_ms
    else:
        held_ms, active_ms = 0, now_ms
    fires = held_ms >= timing.hold_ms
    return replace(
        instance,
        state=AlertState.FIRING if fires else AlertState.PENDING,
        held_ms=held_ms,
        false_ms=None,
        active_ms=active_ms,
        fired_ms=now_ms if fires else None,
        resolved_ms=None,
        notified_ms=None,
    )


def _settle(instance: AlertInstance, elapsed_ms: int, now_ms: int, timing: Timing) -> AlertInstance:
    if instance.state is AlertState.PENDING:
        return replace(
            instance, state=AlertState.INACTIVE, held_ms=0, missing_ms=None, false_ms=None
        )
    if instance.state is not AlertState.FIRING:
        return instance
    false_ms = 0 if instance.false_ms is None else instance.false_ms + elapsed_ms
    if false_ms < timing.keep_firing_ms:
        return replace(instance, false_ms=false_ms)
    return replace(
        instance,
        state=AlertState.RESOLVED,
        held_ms=0,
        false_ms=None,
        missing_ms=None,
        resolved_ms=now_ms,
    )
