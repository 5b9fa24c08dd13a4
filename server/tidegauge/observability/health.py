"""Health: named checks, and the body that sums them up.

Source: SPEC §9. A check returns what it saw; one that raises or finds its part away is
"unhealthy". Parts that the product can do without for a while are "degraded" at worst.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tidegauge.errors import TidegaugeError


class Status(StrEnum):
    """How a part, or the whole, is doing."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check saw: a status, and fields for the body (`latency_ms`, `queue_depth`)."""

    status: Status
    fields: Mapping[str, object]


Check = Callable[[], CheckResult]


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The whole, and each of its parts."""

    status: Status
    uptime_s: float
    checks: Mapping[str, CheckResult]

    def body(self, version: str) -> dict[str, object]:
        """Return the body of `GET /health`."""
        return {
            "status": self.status.value,
            "version": version,
            "uptime_seconds": round(self.uptime_s, 3),
            "checks": {
                name: {"status": check.status.value, **check.fields}
                for name, check in self.checks.items()
            },
        }


class Health:
    """Runs the checks.

    Args:
        checks: by name; each brings its own time limit.
        monotonic: the monotonic clock, seconds.
        max_age_s: a report this young is given again: probes are open to all, and must not
            become a way to keep the database busy.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        monotonic: Callable[[], float],
        max_age_s: float = 1.0,
    ) -> None:
        self._checks, self._monotonic, self._max_age_s = dict(checks), monotonic, max_age_s
        self._started_s = monotonic()
        self._lock = threading.Lock()
        self._latest: tuple[float, HealthReport] | None = None

    def report(self) -> HealthReport:
        """Run every check, or give the latest report again; who asks meanwhile waits for it."""
        with self._lock:
            now_s = self._monotonic()
            if self._latest is None or now_s - self._latest[0] >= self._max_age_s:
                self._latest = (now_s, self._run())
            return self._latest[1]

    def _run(self) -> HealthReport:
        # The whole is as bad as its worst part.
        results = {name: _run(check) for name, check in self._checks.items()}
        order = list(Status)
        worst = max((check.status for check in results.values()), key=order.index, default=order[0])
        return HealthReport(worst, self._monotonic() - self._started_s, results)


def timed_check(ping: Callable[[], None], *, monotonic: Callable[[], float]) -> Check:
    """Return a check that is healthy when `ping` returns, with the time it took."""

    def check() -> CheckResult:
        before_s = monotonic()
        ping()
        return CheckResult(
            Status.HEALTHY, {"latency_ms": round((monotonic() - before_s) * 1000, 3)}
        )

    return check


def dispensable(check: Check) -> Check:
    """Return the check of a part that is done without while it is away: degraded at worst."""

    def tolerate() -> CheckResult:
        result = _run(check)
        if result.status is Status.UNHEALTHY:
            return CheckResult(Status.DEGRADED, result.fields)
        return result

    return tolerate


def queue_check(depth: Callable[[], int], *, limit: int) -> Check:
    """Return a check of a bounded queue: degraded from four fifths of its limit on."""

    def check() -> CheckResult:
        waiting = depth()
        status = Status.DEGRADED if waiting * 5 >= limit * 4 else Status.HEALTHY
        return CheckResult(status, {"queue_depth": waiting, "limit": limit})

    return check


def _run(check: Check) -> CheckResult:
    try:
        return check()
    except TidegaugeError as exc:
        return CheckResult(Status.UNHEALTHY, {"error": exc.message})
