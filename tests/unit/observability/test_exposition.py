"""Processes without an API show health and instruments on a port of their own."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
import requests
from tidegauge.errors import ConfigError
from tidegauge.observability.exposition import MOST_CLIENTS, Exposition
from tidegauge.observability.health import CheckResult, Health, Status
from tidegauge.observability.meters import CONTENT_TYPE, Meters

from tests.support.servers import wait_until


class Part:
    """A part whose health a test chooses."""

    def __init__(self) -> None:
        self.result = CheckResult(Status.HEALTHY, {"queue_depth": 3})

    def __call__(self) -> CheckResult:
        return self.result


@pytest.fixture
def part() -> Part:
    return Part()


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def exposition(part: Part, meters: Meters) -> Iterator[Exposition]:
    shown = Exposition(
        host="127.0.0.1",
        port=0,
        meters=meters,
        health=Health({"rabbitmq": part}, monotonic=time.monotonic, max_age_s=0.0),
        version="1.2.3",
        refresh=lambda: meters.queue_depth.set(7),
    )
    shown.start()
    yield shown
    shown.close()


@pytest.fixture
def ask(exposition: Exposition) -> Callable[[str], requests.Response]:
    address = f"http://127.0.0.1:{exposition.port}"
    return lambda path: requests.get(address + path, timeout=20)


def test_metrics_are_shown_with_fresh_gauges(ask) -> None:
    response = ask("/metrics")

    assert response.headers["Content-Type"] == CONTENT_TYPE
    assert "queue_depth 7.0" in response.text


def test_health_has_the_body_that_the_api_has(ask) -> None:
    response = ask("/health")

    assert response.status_code == 200
    assert response.json()["version"] == "1.2.3"
    assert response.json()["checks"] == {"rabbitmq": {"status": "healthy", "queue_depth": 3}}


def test_degraded_is_well_and_may_be_not_ready(ask, part: Part) -> None:
    part.result = CheckResult(Status.DEGRADED, {}, ready=False)

    assert ask("/health").status_code == 200
    assert ask("/health/ready").status_code == 503
    assert ask("/health/live").status_code == 200


def test_unhealthy_is_503(ask, part: Part) -> None:
    part.result = CheckResult(Status.UNHEALTHY, {})

    assert [ask(path).status_code for path in ("/health", "/health/ready")] == [503, 503]


def test_there_is_nothing_else(ask, exposition: Exposition) -> None:
    assert ask("/").status_code == 404
    post = requests.post(f"http://127.0.0.1:{exposition.port}/metrics", data=b"x", timeout=20)
    assert post.status_code == 501


def test_clients_beyond_the_bound_are_hung_up_on(exposition: Exposition, ask) -> None:
    silent = [
        socket.create_connection(("127.0.0.1", exposition.port), timeout=20)
        for _ in range(MOST_CLIENTS)
    ]
    try:
        with socket.create_connection(("127.0.0.1", exposition.port), timeout=20) as late:
            assert late.recv(1) == b""
    finally:
        for one in silent:
            one.close()

    wait_until(lambda: _answers(ask), timeout_s=20, what="places are free again")


def test_a_port_that_is_taken_is_a_fault_of_the_settings(exposition: Exposition, meters) -> None:
    second = Exposition(
        host="127.0.0.1",
        port=exposition.port,
        meters=meters,
        health=Health({}, monotonic=time.monotonic),
        version="1.2.3",
    )

    with pytest.raises(ConfigError, match=str(exposition.port)):
        second.start()


def test_closing_ends_the_listening(exposition: Exposition) -> None:
    exposition.close()
    exposition.close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", exposition.port), timeout=20)


def _answers(ask) -> bool:
    try:
        return ask("/health/live").status_code == 200
    except requests.ConnectionError:
        return False
