"""Whether a loop still comes round: a thread that hangs is alive, and does nothing."""

from __future__ import annotations

from collections.abc import Callable

from tidegauge.observability.health import CheckResult, Status


class Pulse:
    """When something was last done that is done again and again; safe from many threads.

    Args:
        late_s: longer ago than this, it hangs.
        monotonic: seconds.
    """

    def __init__(self, late_s: float, *, monotonic: Callable[[], float]) -> None:
        self._late_s, self._monotonic = late_s, monotonic
        self._at_s = monotonic()

    def beat(self) -> None:
        """It was done now."""
        self._at_s = self._monotonic()

    def check(self) -> CheckResult:
        """Return the health: unhealthy when it hangs."""
        ago_s = self._monotonic() - self._at_s
        if ago_s > self._late_s:
            return CheckResult(Status.UNHEALTHY, {"late_s": round(ago_s)})
        return CheckResult(Status.HEALTHY, {})
