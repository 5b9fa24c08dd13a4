"""The life of the services: started, kept alive, closed in order."""

from __future__ import annotations

import threading

import pytest
from tidegauge.config import Config, HttpConfig
from tidegauge.errors import Unavailable


@pytest.fixture
def config() -> Config:
    """The settings of a test that has no time to wait for a stop."""
    return Config(http=HttpConfig(shutdown_s=0))


class FailsOnce:
    """A writer that fails at first, and then waits for work until it is told to stop."""

    def __init__(self) -> None:
        self.runs = 0
        self.running = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Fail, or run."""
        self.runs += 1
        if self.runs == 1:
            raise ZeroDivisionError("unforeseen")
        self.running.set()
        stop.wait()


class Stubborn:
    """A writer that does not stop when told to."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Run until released."""
        self.released.wait(30)


def test_a_writer_that_fails_is_started_again(idle_services, log_lines) -> None:
    idle_services.writer = writer = FailsOnce()

    idle_services.start()
    started_again = writer.running.wait(30)
    idle_services.close()

    assert started_again
    assert writer.runs == 2
    (line,) = [line for line in log_lines() if line["message"] == "the writer failed"]
    assert "unforeseen" in line["exception"]


def test_health_shows_a_writer_that_failed_lately(idle_services) -> None:
    idle_services.writer = writer = FailsOnce()

    idle_services.start()
    writer.running.wait(30)
    check = idle_services.health.report().checks["writer"]
    idle_services.close()

    assert (check.status, check.fields) == ("degraded", {"failures": 1})


def test_a_writer_that_does_not_stop_is_told_of_and_waited_for_no_longer_than_set(
    idle_services, log_lines
) -> None:
    idle_services.writer = writer = Stubborn()

    idle_services.start()
    idle_services.close()
    writer.released.set()

    assert [line["thread"] for line in log_lines()] == ["tidegauge-writer"]


def test_closing_twice_is_harmless_and_writes_hear_unavailable(services) -> None:
    services.close()
    services.close()

    assert not services.accepting
    with pytest.raises(Unavailable):
        services.ingest.ingest_json(b'[{"name":"cpu","value":1}]', "", "r", 1_700_000_000_000)


def test_health_shows_a_writer_that_does_not_run(services) -> None:
    services.close()

    assert services.health.report().checks["writer"].status == "unhealthy"
