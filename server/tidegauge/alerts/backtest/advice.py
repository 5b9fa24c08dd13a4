"""Which `for` would have been better. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegauge.alerts.backtest.spells import BRIEF_MS, FLAP_MS, Trial

RULE = (
    f"the shortest duration with which no alert fires again within {FLAP_MS // 60_000} minutes "
    f"after it was resolved, none is over within {BRIEF_MS // 60_000} minutes after it fired, and "
    "none of the others is lost"
)
"""What is suggested."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to do about `for`.

    Args:
        hold_ms: the better value; None: there is none, or none is needed.
        delay_ms: by how much later each alert comes with it.
        reason: why.
    """

    hold_ms: int | None
    delay_ms: int
    reason: str


def suggest(trials: Sequence[Trial]) -> Suggestion:
    """Return the shortest duration that takes the noise away and nothing else.

    Args:
        trials: the rule as it is, then longer durations, shortest first.
    """
    own, *longer = trials
    if not own.flaps and not own.brief:
        return Suggestion(None, 0, "nothing flaps and nothing is brief")
    for trial in longer:
        if not trial.flaps and not trial.brief and not trial.lost:
            return Suggestion(trial.hold_ms, trial.hold_ms - own.hold_ms, RULE)
    return Suggestion(
        None,
        0,
        "with every longer duration that was tried something still flaps or is brief, or an alert "
        "that was neither is lost; look at the query, the threshold or keep_firing_for",
    )
