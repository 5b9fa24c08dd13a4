"""The circuit breaker of queries through HTTP: what it refuses, and what it learns from."""

from __future__ import annotations

import pytest
from tidegauge.config import BreakerConfig, Config, TraceConfig
from tidegauge.errors import DeadlineExceeded, QueryFailed, TidegaugeError, Unavailable

QUERY = "/prometheus/api/v1/query?query=up&time=4&nocache=1"
SHORTER = QUERY + "&timeout=2s"
FAILURES = 4


@pytest.fixture
def config() -> Config:
    return Config(
        breaker=BreakerConfig(volume=FAILURES, error_percent=100),
        trace=TraceConfig(own_metrics_s=0),
    )


class Faulty:
    """What reads of the storage raise; None lets them through."""

    fault: TidegaugeError | None = None


@pytest.fixture
def faulty(database, monkeypatch) -> Faulty:
    faulty = Faulty()
    # A ping that is answered would end the breaker's pause at any moment.
    database.fault = Unavailable("the database is away")

    def wrap(name: str) -> None:
        work = getattr(database.storage, name)

        def work_or_fail(*args, **options):
            if faulty.fault is not None:
                raise faulty.fault
            return work(*args, **options)

        monkeypatch.setattr(database.storage, name, work_or_fail)

    for name in ("select", "list_label_names", "list_series", "list_metrics", "read_metadata"):
        wrap(name)
    return faulty


def ask(client, path: str = QUERY) -> str:
    """Return the error of an answer, or "" of a good one."""
    return client.get(path).get_json().get("error", "")


def find_state(client) -> str:
    return client.get("/api/v1/admin/stats").get_json()["data"]["circuit_breakers"]["queries"]


@pytest.fixture
def open_breaker(client, faulty) -> Faulty:
    """Queries have failed so often that the breaker is open; the database answers again."""
    faulty.fault = Unavailable("the disk is full")
    for _ in range(FAILURES):
        ask(client)
    faulty.fault = None
    return faulty


@pytest.mark.parametrize(
    "path",
    [
        QUERY,
        SHORTER,
        "/prometheus/api/v1/labels",
        "/prometheus/api/v1/series?match[]=up",
        "/prometheus/api/v1/metadata",
        "/api/v1/metrics",
    ],
)
def test_an_open_breaker_refuses_every_question_to_the_database(
    client, open_breaker, path: str
) -> None:
    response = client.get(path)

    assert response.status_code == 503
    assert "TIDEGAUGE_BREAKER_RESET_SECONDS" in response.get_json()["error"]
    assert int(response.headers["Retry-After"]) >= 1


def test_failing_listings_open_it(client, faulty) -> None:
    faulty.fault = Unavailable("the disk is full")
    for _ in range(FAILURES):
        ask(client, "/prometheus/api/v1/labels")
    faulty.fault = None

    assert "failed too often" in ask(client)


def test_time_limits_that_clients_set_do_not_open_it(client, faulty) -> None:
    faulty.fault = DeadlineExceeded("too slow")
    for _ in range(3 * FAILURES):
        ask(client, SHORTER)
    faulty.fault = None

    assert ask(client) == ""


def test_the_servers_own_time_limit_opens_it(client, faulty) -> None:
    faulty.fault = DeadlineExceeded("too slow")
    for _ in range(FAILURES):
        ask(client)
    faulty.fault = None

    assert "failed too often" in ask(client)


def test_a_trial_that_says_nothing_of_the_database_decides_nothing(
    client, database, open_breaker
) -> None:
    assert find_state(client) == "open"
    database.fault = None
    find_state(client)  # Samples the gauges, with a ping that ends the pause.
    assert find_state(client) == "half_open"
    open_breaker.fault = QueryFailed("no such thing")

    assert ask(client) == "no such thing"
    assert find_state(client) == "half_open"
    open_breaker.fault = None

    assert ask(client) == ""
    assert find_state(client) == "closed"
