"""What an evaluator needs to tell people: the delivery of the outbox, with its notifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tidegauge.alerts.delivery import Delivery
from tidegauge.alerts.notifiers.email import EmailNotifier
from tidegauge.alerts.notifiers.protocol import Notifier
from tidegauge.config import BreakerConfig, Config
from tidegauge.observability.meters import Meters
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.services.parts import Tools
from tidegauge.storage.outbox import Outbox

_DAY_S = 86_400


def make_delivery(config: Config, tools: Tools, meters: Meters, outbox: Outbox) -> Delivery:
    """Return what delivers notifications, not running yet."""
    # Five failures in a row close a target off, one trial a minute later lets it in again. Time
    # is the notifier's business: it has a deadline of its own.
    limits = BreakerConfig(timeout_s=_DAY_S, error_percent=100, window_s=3600, volume=5, reset_s=60)

    def make_breaker(name: str, is_failure: Callable[[BaseException], bool]) -> CircuitBreaker:
        def on_event(who: str, event: str) -> None:
            if event in ("open", "close"):
                tools.log.warning("target", name=who, breaker=event)

        return CircuitBreaker(
            name, limits, is_failure=is_failure, on_event=on_event, monotonic=tools.monotonic
        )

    return Delivery(
        outbox=outbox,
        notifiers=_make_notifiers(config),
        make_breaker=make_breaker,
        log=tools.log,
        threads=config.notify.threads,
        attempt_s=config.notify.timeout_s,
        on_outcome=lambda kind, outcome: meters.alerts.notifications.labels(kind, outcome).inc(),
        monotonic=tools.monotonic,
    )


def _make_notifiers(config: Config) -> Mapping[str, Notifier]:
    return {"email": EmailNotifier(config.notify)}
