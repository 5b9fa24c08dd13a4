"""Health sums its checks up, and does not let probes wear out what they probe."""

from __future__ import annotations

import threading

import pytest
from tidegauge.errors import Unavailable
from tidegauge.observability.health import (
    CheckResult,
    Health,
    Status,
    queue_check,
    timed_check,
)

from tests.support.servers import wait_until


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


def test_a_part_that_may_be_away_degrades_the_whole_which_stays_ready() -> None:
    def ping() -> None:
        raise Unavailable("the database is away")

    check = timed_check(ping, monotonic=Clock(), away=Status.DEGRADED)
    report = Health({"database": check}, monotonic=Clock()).report()

    assert (report.status, report.ready) == (Status.DEGRADED, True)
    assert report.checks["database"].fields == {"error": "the database is away"}


def test_a_part_may_keep_requests_away_and_be_no_more_than_degraded() -> None:
    blocked = CheckResult(Status.DEGRADED, {"blocked": "memory"}, ready=False)
    report = Health({"rabbitmq": lambda: blocked, "x": healthy}, monotonic=Clock()).report()

    assert (report.status, report.ready) == (Status.DEGRADED, False)


def test_an_unhealthy_part_is_not_ready() -> None:
    assert not Health({"database": away}, monotonic=Clock()).report().ready


def test_a_check_that_hangs_holds_up_no_other_and_is_not_begun_twice() -> None:
    release, begun = threading.Event(), []

    def hang() -> None:
        begun.append(1)
        release.wait(60)

    clock = Clock()
    health = Health(
        {
            "redis": timed_check(hang, monotonic=clock, away=Status.DEGRADED),
            "queue": healthy,
        },
        monotonic=clock,
        patience_s=0.05,
    )
    try:
        for _ in range(3):
            report = health.report()
            clock.now_s += 1.0
    finally:
        release.set()

    assert report.status is Status.DEGRADED
    assert report.checks["redis"].fields == {"error": "no answer within 0.05 s"}
    assert report.checks["queue"].status is Status.HEALTHY
    assert len(begun) == 1


def test_a_check_that_hung_is_asked_again_once_it_has_returned() -> None:
    release = threading.Event()
    clock = Clock()
    health = Health(
        {"redis": timed_check(lambda: _wait(release), monotonic=clock)},
        monotonic=clock,
        max_age_s=0.0,
        patience_s=0.05,
    )

    assert health.report().status is Status.UNHEALTHY
    release.set()

    wait_until(
        lambda: health.report().status is Status.HEALTHY, timeout_s=10, what="it is healthy again"
    )


def test_checks_run_side_by_side() -> None:
    together = threading.Barrier(3, timeout=30)

    def meet() -> CheckResult:
        together.wait()
        return CheckResult(Status.HEALTHY, {})

    health = Health(dict.fromkeys("abc", meet), monotonic=Clock(), patience_s=30)

    assert health.report().status is Status.HEALTHY


def test_a_fault_of_a_check_itself_reaches_who_asks() -> None:
    def broken() -> CheckResult:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Health({"x": broken}, monotonic=Clock()).report()


def _wait(event: threading.Event) -> None:
    assert event.wait(60)
