"""Figures, health and running queries, for administrators."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from tidegauge import __version__
from tidegauge.app import create_app
from tidegauge.config import CacheConfig, Config, QueryConfig
from tidegauge.errors import Unavailable
from tidegauge.model.frame import SeriesFrame

from tests.api.conftest import assemble_over
from tests.support.needs import need_programs
from tests.support.people import ALMIGHTY
from tests.support.redis import OwnRedis, run_redis
from tests.support.servers import wait_until

NOW_MS = 1_700_000_000_000


@pytest.fixture
def config() -> Config:
    return Config(query=QueryConfig(timeout_s=120))


class Gate:
    """Holds up reads of samples until it is opened; says when one has come."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()


@pytest.fixture
def gate(database, monkeypatch) -> Gate:
    """A gate before the samples; a cancelled read ends at it, as a statement would."""
    gate, select = Gate(), database.storage.select

    def wait_and_select(matchers, start_ms, end_ms, budget) -> SeriesFrame:
        gate.reached.set()
        while not gate.opened.wait(0.01):
            budget.cancellation.check()
        return select(matchers, start_ms, end_ms, budget)

    monkeypatch.setattr(database.storage, "select", wait_and_select)
    return gate


@pytest.fixture
def ask_slowly(app, gate):
    """Ask a query in a thread of its own, and return once it stands at the gate."""
    with ThreadPoolExecutor(1) as threads:

        def ask(path: str) -> Future:
            asked = threads.submit(lambda: app.test_client().get(path))
            assert gate.reached.wait(30)
            return asked

        yield ask
        gate.opened.set()


def test_stats_count_what_came_in_and_is_stored(client, push) -> None:
    push("up", 1, {"job": "a"}, NOW_MS)
    push("up", 1, {"job": "b"}, NOW_MS)
    client.get("/prometheus/api/v1/query?query=up")

    stats = client.get("/api/v1/admin/stats").get_json()["data"]

    assert stats["version"] == __version__
    assert stats["uptime_seconds"] >= 0
    assert stats["storage"] == {"series": 2, "metrics": 1, "database_bytes": 0}
    assert stats["ingestion"]["points_accepted"] == 2
    assert stats["ingestion"]["points_per_second"] > 0
    assert stats["ingestion"]["queue_depth"] == 0
    assert stats["ingestion"]["messages_dead_lettered"] == 0
    assert stats["dead_letters"] == 0
    assert stats["queries"]["answered"] == 1
    assert stats["queries"]["running"] == 0
    assert set(stats["cache"]) == {"hits", "misses"}
    assert set(stats["database"]) == {"connections_active", "connections_limit"}


def test_stats_are_there_while_the_database_is_away(client, database, monkeypatch) -> None:
    def fail() -> None:
        raise Unavailable("the database is away")

    monkeypatch.setattr(database.storage, "read_totals", fail)

    response = client.get("/api/v1/admin/stats")

    assert response.status_code == 200
    assert response.get_json()["data"]["storage"] == {"error": "the database is away"}


def test_health_says_whether_requests_may_come(client, database) -> None:
    well = client.get("/api/v1/admin/health")
    assert (well.status_code, well.get_json()["ready"]) == (200, True)
    assert "database" in well.get_json()["checks"]


def test_health_is_503_when_unhealthy(client, database) -> None:
    database.fault = Unavailable("the database is away")

    ill = client.get("/api/v1/admin/health")

    assert (ill.status_code, ill.get_json()["ready"]) == (503, False)


def test_a_running_query_is_listed_with_who_asks(client, ask_slowly) -> None:
    ask_slowly("/prometheus/api/v1/query?query=sum(up)")

    body = client.get("/api/v1/admin/queries").get_json()

    (one,) = body["data"]
    assert (one["kind"], one["query"], one["client"]) == ("instant", "sum(up)", "127.0.0.1")
    assert one["request_id"].startswith("id-")
    assert one["took_ms"] >= 0
    assert not one["cancelled"]
    assert body["covers"] == f"process {one['id'].partition('-')[0]}"


def test_a_cancelled_query_answers_499_in_the_shape_of_prometheus(client, ask_slowly) -> None:
    asked = ask_slowly("/prometheus/api/v1/query?query=up")
    (one,) = client.get("/api/v1/admin/queries").get_json()["data"]

    assert client.delete(f"/api/v1/admin/queries/{one['id']}").status_code == 204

    answer = asked.result(30)
    assert answer.status_code == 499
    assert answer.get_json()["errorType"] == "canceled"
    assert client.get("/api/v1/admin/queries").get_json()["data"] == []
    text = client.get("/metrics").get_data(as_text=True)
    assert 'query_requests_total{kind="instant",outcome="canceled"} 1.0' in text


def test_an_unknown_query_cannot_be_cancelled(client) -> None:
    process = client.get("/api/v1/admin/health").get_json()["process"]

    over = client.delete(f"/api/v1/admin/queries/{process}-99")
    elsewhere = client.delete(f"/api/v1/admin/queries/{process}x-1")
    odd = client.delete("/api/v1/admin/queries/x")

    assert [one.status_code for one in (over, elsewhere, odd)] == [404, 404, 400]
    assert "is over" in over.get_json()["error"]
    assert "several API processes" in elsewhere.get_json()["error"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/admin/stats"),
        ("GET", "/api/v1/admin/health"),
        ("GET", "/api/v1/admin/queries"),
        ("DELETE", "/api/v1/admin/queries/1-1"),
    ],
)
def test_strangers_are_refused(client, method: str, path: str) -> None:
    response = client.open(path, method=method, environ_base={"REMOTE_ADDR": "192.0.2.1"})

    assert response.status_code == 401


@pytest.mark.services
class TestSeveralProcesses:
    """Two processes that share a Redis; the query runs in one, the administrator asks the other."""

    @pytest.fixture
    def server(self, tmp_path) -> Iterator[OwnRedis]:
        need_programs("redis-server")
        with run_redis(tmp_path) as server:
            yield server

    @pytest.fixture
    def config(self, server) -> Config:
        return Config(
            query=QueryConfig(timeout_s=120), cache=CacheConfig(url=server.url, timeout_ms=5000)
        )

    @pytest.fixture
    def other(self, config, database, log_stream, clock) -> Iterator[FlaskClient]:
        """A client of the other process."""
        services = assemble_over(database, config, log_stream, clock)
        services.start()
        yield create_app(services, local=ALMIGHTY).test_client()
        services.close()

    @staticmethod
    def find_elsewhere(other: FlaskClient) -> dict[str, object]:
        """Return the one query that runs, as the other process knows it."""
        seen: list[dict[str, object]] = []

        def look() -> bool:
            seen[:] = other.get("/api/v1/admin/queries").get_json()["data"]
            return len(seen) == 1

        wait_until(look, timeout_s=20, what="the other process knows the query")
        return seen[0]

    def test_each_lists_the_queries_of_all(self, client, other, ask_slowly) -> None:
        ask_slowly("/prometheus/api/v1/query?query=sum(up)")

        found = self.find_elsewhere(other)

        (own,) = client.get("/api/v1/admin/queries").get_json()["data"]
        for name in ("id", "kind", "query", "started", "request_id", "client"):
            assert found[name] == own[name]
        assert other.get("/api/v1/admin/queries").get_json()["covers"] == "all processes"

    def test_each_cancels_the_queries_of_all(self, client, other, ask_slowly) -> None:
        asked = ask_slowly("/prometheus/api/v1/query?query=up")
        found = self.find_elsewhere(other)

        assert other.delete(f"/api/v1/admin/queries/{found['id']}").status_code == 204

        assert asked.result(30).status_code == 499
        wait_until(
            lambda: not other.get("/api/v1/admin/queries").get_json()["data"],
            timeout_s=20,
            what="the query is gone from the list",
        )
        again = other.delete(f"/api/v1/admin/queries/{found['id']}")
        assert (again.status_code, "is over" in again.get_json()["error"]) == (404, True)

    def test_one_that_waits_for_the_answer_of_another_process_ends_too(
        self, client, other, ask_slowly
    ) -> None:
        path = "/prometheus/api/v1/query?query=up&time=4"
        asked = ask_slowly(path)
        found = self.find_elsewhere(other)
        with ThreadPoolExecutor(1) as threads:
            follows = threads.submit(lambda: other.application.test_client().get(path))
            waiting: list[str] = []

            def look() -> bool:
                listed = client.get("/api/v1/admin/queries").get_json()["data"]
                waiting[:] = [one["id"] for one in listed if one["id"] != found["id"]]
                return len(waiting) == 1

            wait_until(look, timeout_s=20, what="the second query is known here")
            assert client.delete(f"/api/v1/admin/queries/{waiting[0]}").status_code == 204

            assert follows.result(30).status_code == 499
        assert not asked.done()

    def test_without_redis_each_knows_its_own_and_says_so(
        self, client, other, ask_slowly, server
    ) -> None:
        ask_slowly("/prometheus/api/v1/query?query=up")
        found = self.find_elsewhere(other)
        server.kill()

        here = client.get("/api/v1/admin/queries").get_json()
        there = other.get("/api/v1/admin/queries").get_json()
        refused = other.delete(f"/api/v1/admin/queries/{found['id']}")

        process = str(found["id"]).partition("-")[0]
        assert ([one["id"] for one in here["data"]], here["covers"]) == (
            [found["id"]],
            f"process {process}",
        )
        assert there["data"] == []
        assert there["covers"].startswith("process ")
        assert (refused.status_code, "Redis" in refused.get_json()["error"]) == (503, True)
        assert client.delete(f"/api/v1/admin/queries/{found['id']}").status_code == 204
