"""Circuit breakers, and what ends their pause early: the neighbour's own answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tidegauge.config import Config
from tidegauge.errors import TidegaugeError
from tidegauge.observability.meters import Meters
from tidegauge.resilience.breaker import CircuitBreaker, State
from tidegauge.services.parts import Tools


@dataclass(frozen=True, slots=True)
class Guard:
    """A breaker, and a question to the neighbour behind it: whether it is well."""

    breaker: CircuitBreaker
    is_well: Callable[[], bool]

    def look(self, meters: Meters) -> None:
        """Show the state; let an open breaker try again once the neighbour is well."""
        state = self.breaker.state
        meters.resilience.breaker_state.labels(self.breaker.name).set(state)
        if state is State.OPEN and self.is_well():
            self.breaker.note_recovery()


def make_breaker(
    name: str,
    config: Config,
    tools: Tools,
    meters: Meters,
    *,
    is_failure: Callable[[BaseException], bool],
) -> CircuitBreaker:
    """Return a breaker that counts what it does, and logs when it opens and closes."""

    def on_event(who: str, event: str) -> None:
        meters.resilience.breaker_event(who, event)
        if event in ("open", "close"):
            tools.log.warning("circuit breaker", name=who, state=event)

    return CircuitBreaker(
        name, config.breaker, is_failure=is_failure, on_event=on_event, monotonic=tools.monotonic
    )


def answers(ping: Callable[[], None]) -> bool:
    """Return whether a ping comes back."""
    try:
        ping()
    except TidegaugeError:
        return False
    return True
