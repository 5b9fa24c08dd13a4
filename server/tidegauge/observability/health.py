"""Health: named checks, and the body that sums them up.

Source: SPEC §9. A check returns what it saw; one that raises or finds its part away is
"unhealthy". Parts that the product can do without for a while are "degraded" at worst.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tidegauge.errors import TidegaugeError

# A little more than the parts' own limits, whose errors say more than that nobody answered.
PATIENCE_S = 2.5


class Status(StrEnum):
    """How a part, or the whole, is doing."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check saw.

    Args:
        status: how the part is doing.
        fields: for the body (`latency_ms`, `queue_depth`).
        ready: whether requests may come; False where a part that is no more than degraded keeps
            this process from taking samples in, so that others should get them.
    """

    status: Status
    fields: Mapping[str, object]
    ready: bool = True


Check = Callable[[], CheckResult]


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The whole, and each of its parts."""

    status: Status
    uptime_s: float
    checks: Mapping[str, CheckResult]

    @property
    def ready(self) -> bool:
        """Whether requests may come."""
        return self.status is not Status.UNHEALTHY and all(
            check.ready for check in self.checks.values()
        )

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
    """Runs the checks, all at once.

    A check that does not return holds up neither the others nor who asks: its part counts as
    away, and it is not begun again before it has returned.

    Args:
        checks: by name; each brings its own time limit.
        monotonic: the monotonic clock, seconds.
        max_age_s: a report this young is given again: probes are open to all, and must not
            become a way to keep the database busy.
        patience_s: how long a report waits for its checks.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        monotonic: Callable[[], float],
        max_age_s: float = 1.0,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._checks, self._monotonic, self._max_age_s = dict(checks), monotonic, max_age_s
        self._patience_s = patience_s
        self._started_s = monotonic()
        self._lock = threading.Lock()
        self._latest: tuple[float, HealthReport] | None = None
        self._running: dict[str, _Run] = {}

    def report(self) -> HealthReport:
        """Run every check, or give the latest report again; who asks meanwhile waits for it."""
        with self._lock:
            now_s = self._monotonic()
            if self._latest is None or now_s - self._latest[0] >= self._max_age_s:
                self._latest = (now_s, self._run())
            return self._latest[1]

    def _run(self) -> HealthReport:
        for name, check in self._checks.items():
            if name not in self._running:
                self._running[name] = _Run(name, check)
        until_s = time.monotonic() + self._patience_s
        results = {name: self._wait_for(name, until_s) for name in self._checks}
        # The whole is as bad as its worst part.
        order = list(Status)
        worst = max((check.status for check in results.values()), key=order.index, default=order[0])
        return HealthReport(worst, self._monotonic() - self._started_s, results)

    def _wait_for(self, name: str, until_s: float) -> CheckResult:
        run = self._running[name]
        if not run.wait(max(0.0, until_s - time.monotonic())):
            check = self._checks[name]
            away = check.away if isinstance(check, TimedCheck) else Status.UNHEALTHY
            return CheckResult(away, {"error": f"no answer within {self._patience_s:g} s"})
        del self._running[name]
        return run.result()


class _Run:
    """One run of one check, in a thread that nobody has to wait for."""

    def __init__(self, name: str, check: Check) -> None:
        self._check = check
        self._result: CheckResult | None = None
        self._fault: BaseException | None = None
        self._thread = threading.Thread(
            target=self._work, name=f"tidegauge-health-{name}", daemon=True
        )
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def result(self) -> CheckResult:
        if self._result is None:
            # A fault of ours, not of the part: whoever asked for the report shall see it.
            raise self._fault or RuntimeError("a check ended without a result")
        return self._result

    def _work(self) -> None:
        try:
            self._result = self._check()
        except TidegaugeError as exc:
            self._result = CheckResult(Status.UNHEALTHY, {"error": exc.message})
        except BaseException as exc:  # noqa: BLE001 - handed to whoever asked, by `result`
            self._fault = exc


class TimedCheck:
    """A check that is healthy when `ping` returns, with the time it took.

    Args:
        ping: returns when the part answers, raises when not.
        monotonic: seconds.
        away: what it counts as while it does not answer.
    """

    def __init__(
        self, ping: Callable[[], None], *, monotonic: Callable[[], float], away: Status
    ) -> None:
        self._ping, self._monotonic, self.away = ping, monotonic, away

    def __call__(self) -> CheckResult:
        """Ask."""
        before_s = self._monotonic()
        try:
            self._ping()
        except TidegaugeError as exc:
            return CheckResult(self.away, {"error": exc.message})
        took_ms = round((self._monotonic() - before_s) * 1000, 3)
        return CheckResult(Status.HEALTHY, {"latency_ms": took_ms})


def timed_check(
    ping: Callable[[], None],
    *,
    monotonic: Callable[[], float],
    away: Status = Status.UNHEALTHY,
) -> Check:
    """Return a check that is healthy when `ping` returns, with the time it took; `away` if not."""
    return TimedCheck(ping, monotonic=monotonic, away=away)


def queue_check(depth: Callable[[], int], *, limit: int) -> Check:
    """Return a check of a bounded queue: degraded from four fifths of its limit on."""

    def check() -> CheckResult:
        waiting = depth()
        status = Status.DEGRADED if waiting * 5 >= limit * 4 else Status.HEALTHY
        return CheckResult(status, {"queue_depth": waiting, "limit": limit})

    return check
