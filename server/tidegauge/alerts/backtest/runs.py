"""The state machine over evaluations that all saw the same. Pure."""

from __future__ import annotations

from tidegauge.alerts.state import Seen, Timing, advance
from tidegauge.model.alerts import ACTIVE_STATES, AlertInstance, AlertState

Turn = tuple[int, AlertInstance]
"""When the state of a label set changed, Unix ms, and how it stood from then on."""


def advance_run(
    alert: AlertInstance, seen: Seen, *, start_ms: int, steps: int, step_ms: int, timing: Timing
) -> tuple[AlertInstance, list[Turn]]:
    """Return how a label set stands after a run, and the changes of its state within.

    The machine is asked about the first evaluation, and about the one at which the state can
    change; in between, only time goes by. It is the same as asking it about each.

    Args:
        alert: how it stood before.
        seen: what all evaluations of the run saw.
        start_ms: when the first of them was, Unix ms.
        steps: how many there are, at least 1.
        step_ms: the time between two of them, and between the first and the one before it.
        timing: the rule's.
    """
    turns: list[Turn] = []

    def ask(before: AlertInstance, elapsed_ms: int, now_ms: int) -> AlertInstance:
        after = advance(
            before, seen, value=None, elapsed_ms=elapsed_ms, now_ms=now_ms, timing=timing
        )
        if after.state is not before.state:
            turns.append((now_ms, after))
        return after

    if _is_at_rest(alert, seen):
        return alert, turns
    alert = ask(alert, step_ms, start_ms)
    left, wait = steps - 1, _count_steps(alert, seen, step_ms, timing)
    if left and wait is not None:
        quiet = min(left, wait - 1)
        if quiet:
            alert = ask(alert, quiet * step_ms, start_ms + quiet * step_ms)
        if left >= wait:
            # After this one, nothing can change any more while the same is seen.
            alert = ask(alert, step_ms, start_ms + wait * step_ms)
    return alert, turns


def _is_at_rest(alert: AlertInstance, seen: Seen) -> bool:
    if seen is Seen.TRUE:
        known = alert.false_ms is None and alert.missing_ms is None
        return alert.state is AlertState.FIRING and known
    return alert.state not in ACTIVE_STATES


def _count_steps(alert: AlertInstance, seen: Seen, step_ms: int, timing: Timing) -> int | None:
    """Return after how many more evaluations the state changes; None: it does not."""
    if alert.state not in ACTIVE_STATES:
        return None
    if seen is Seen.UNKNOWN:
        left_ms = timing.kept_unknown_ms - (alert.missing_ms or 0)
    elif seen is Seen.FALSE:
        left_ms = timing.keep_firing_ms - (alert.false_ms or 0)
    elif alert.state is AlertState.PENDING:
        left_ms = timing.hold_ms - alert.held_ms
    else:
        return None
    return -(-left_ms // step_ms)
