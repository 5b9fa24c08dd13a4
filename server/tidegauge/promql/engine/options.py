"""The switches of the language."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the engine reads the language, the same for every query.

    Args:
        lookback_ms: how old the newest sample of an instant selector may be.
        subquery_step_ms: the step of a subquery that names none.
        delayed_name_removal: carry metric names to the very end of the query and drop them
            there (a feature flag of Prometheus), instead of dropping them at each function.
        start_timestamps: let rate(), increase(), irate() and resets() see when counters began,
            and start_timestamp() give it (a feature flag of Prometheus).
        max_points: how many points (series times steps) a vector may have at any place of the
            tree; a subquery's steps count too.
    """

    lookback_ms: int = 300_000
    subquery_step_ms: int = 60_000
    delayed_name_removal: bool = False
    start_timestamps: bool = False
    max_points: int = 50_000_000
