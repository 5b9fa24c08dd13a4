"""Health sums its checks up, and does not let probes wear out what they probe."""

from __future__ import annotations

from tidegauge.errors import Unavailable
from tidegauge.observability.health import (
    CheckResult,
    Health,
    Status,
    queue_check,
    timed_check,
)


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def healthy() -> CheckResult:
    return CheckResult(Status.HEALTHY, {"latency_ms": 1.0})


def away() -> CheckResult:
    raise Unavailable("the database is away")


def test_all_healthy_parts_make_a_healthy_whole() -> None:
    clock = Clock()
    health = Health({"database": healthy}, monotonic=clock)
    clock.now_s += 12.5

    assert health.report().body("1.2.3") == {
        "status": "healthy",
        "version": "1.2.3",
        "uptime_seconds": 12.5,
        "checks": {"database": {"status": "healthy", "latency_ms": 1.0}},
    }


def test_the_whole_is_as_bad_as_its_worst_part_and_the_reason_is_shown() -> None:
    full = queue_check(lambda: 80, limit=100)
    report = Health({"queue": full, "database": away, "x": healthy}, monotonic=Clock()).report()

    assert report.status is Status.UNHEALTHY
    assert report.checks["database"].fields == {"error": "the database is away"}
    assert report.checks["queue"].status is Status.DEGRADED
    assert report.checks["queue"].fields == {"queue_depth": 80, "limit": 100}


def test_a_queue_below_four_fifths_is_healthy() -> None:
    assert queue_check(lambda: 79, limit=100)().status is Status.HEALTHY


def test_reports_within_a_second_ask_nobody_again() -> None:
    clock, asked = Clock(), []
    health = Health(
        {"database": timed_check(lambda: asked.append(clock.now_s), monotonic=clock)},
        monotonic=clock,
    )

    health.report()
    clock.now_s += 0.9
    health.report()
    assert len(asked) == 1

    clock.now_s += 0.1
    health.report()
    assert len(asked) == 2
