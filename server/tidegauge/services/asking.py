"""What a process needs to ask PromQL of the samples."""

from __future__ import annotations

from tidegauge.config import Config
from tidegauge.observability.meters import Meters
from tidegauge.promql.engine import Engine, EngineOptions
from tidegauge.query.admission import Admission
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.services.parts import Tools


def make_engine(config: Config) -> Engine:
    """Return the engine as the settings want it."""
    return Engine(
        EngineOptions(
            lookback_ms=config.query.lookback_s * 1000,
            subquery_step_ms=config.query.subquery_step_s * 1000,
            max_points=config.query.max_samples,
        )
    )


def make_admission(
    config: Config,
    tools: Tools,
    meters: Meters,
    *,
    max_waiting: int,
    breaker: CircuitBreaker | None = None,
) -> Admission:
    """Return what lets questions in, within the limits of the settings.

    Args:
        max_waiting: how many may wait for their turn.
        breaker: refuses at once while the database keeps failing; None for none.
    """
    return Admission(
        config=config.query,
        meters=meters,
        log=tools.log,
        slow_ms=config.log.slow_query_ms,
        monotonic=tools.monotonic,
        max_waiting=max_waiting,
        breaker=breaker,
    )
