"""The delivery of notifications, wired as the settings want it."""

from __future__ import annotations

from collections.abc import Callable

from tidegauge.alerts.charts import AlertCharts
from tidegauge.alerts.delivery import Delivery
from tidegauge.alerts.notifiers.channels import make_notifiers
from tidegauge.alerts.notifiers.email import Draw, draw_nothing
from tidegauge.config import BreakerConfig, Config
from tidegauge.observability.meters import Meters
from tidegauge.query.limits import RunningSamples
from tidegauge.query.parsing import QueryParser
from tidegauge.query.service import QueryService
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.services.asking import make_admission, make_engine
from tidegauge.services.parts import StorageParts, Tools
from tidegauge.storage.outbox import Outbox

FAILURES_IN_A_ROW = 5
# Every attempt has a deadline of its own: slow is no fault here.
_NEVER_TOO_SLOW_S = 3600
_BREAKERS_NAME = "notifications"


def make_delivery(
    config: Config,
    tools: Tools,
    meters: Meters,
    *,
    outbox: Outbox,
    draw: Draw = draw_nothing,
    on_look: Callable[[], None] = lambda: None,
) -> Delivery:
    """Return what delivers from an outbox; its `run(stop)` wants a thread.

    Args:
        draw: makes the charts of mails.
        on_look: is called whenever the outbox was looked into.
    """
    breaker_config = BreakerConfig(
        timeout_s=_NEVER_TOO_SLOW_S,
        error_percent=100,
        window_s=3600,
        volume=FAILURES_IN_A_ROW,
        reset_s=config.breaker.reset_s,
    )

    def make_breaker(name: str, is_failure: Callable[[BaseException], bool]) -> CircuitBreaker:
        def on_event(who: str, event: str) -> None:
            # One series for all targets: there may be many, and their names are nobody's business.
            meters.resilience.breaker_event(_BREAKERS_NAME, event)
            if event in ("open", "close"):
                tools.log.warning("circuit breaker", name=who, state=event)

        return CircuitBreaker(
            name,
            breaker_config,
            is_failure=is_failure,
            on_event=on_event,
            monotonic=tools.monotonic,
        )

    return Delivery(
        outbox=outbox,
        notifiers=make_notifiers(config.notify, draw=draw),
        make_breaker=make_breaker,
        log=tools.log,
        threads=config.notify.threads,
        attempt_s=config.notify.timeout_s,
        on_outcome=meters.notifications.outcome,
        on_look=on_look,
        monotonic=tools.monotonic,
    )


def make_charts(config: Config, tools: Tools, meters: Meters, storage: StorageParts) -> AlertCharts:
    """Return what draws the charts of mails; its queries take no place from those of rules."""
    parser = QueryParser(max_depth=config.query.max_depth)
    return AlertCharts(
        query=QueryService(
            samples=storage.engine,
            engine=make_engine(config),
            parser=parser,
            admission=make_admission(config, tools, meters, max_waiting=1),
            running=RunningSamples(config.query),
            config=config.query,
            meters=meters,
            monotonic=tools.monotonic,
        ),
        parser=parser,
        clock_ms=tools.clock_ms,
        monotonic=tools.monotonic,
        log=tools.log,
    )
