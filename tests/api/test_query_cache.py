"""The query cache through HTTP: hits, freshness, bypass, and a Redis that comes and goes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from tidegauge.config import CacheConfig, Config

from tests.api.conftest import NOW_MS
from tests.support.needs import need_programs
from tests.support.redis import OwnRedis

HOUR_MS = 3_600_000


def ask(client, query: str = "cpu", **options):
    """Return (last value or None, what the cache did) of a native range query."""
    body = {"query": query, "start": NOW_MS - HOUR_MS, "end": NOW_MS, "step": 60, **options}
    response = client.post("/api/v1/query", json=body)
    assert response.status_code == 200, response.get_data(as_text=True)
    answer = response.get_json()
    return answer["data"][-1]["value"] if answer["data"] else None, answer["meta"]["cache"]


def range_of(client, query: str = "cpu", **options):
    """Return the body of a Prometheus range query."""
    params = {"query": query, "start": (NOW_MS - HOUR_MS) / 1000, "end": NOW_MS / 1000, "step": 60}
    response = client.get("/prometheus/api/v1/query_range", query_string={**params, **options})
    assert response.status_code == 200
    return response.get_data()


def counted(client, name: str) -> float:
    lines = client.get("/metrics").get_data(as_text=True).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_the_second_request_is_a_hit_with_the_same_answer(client, push) -> None:
    push("cpu", 1.5, {}, NOW_MS)

    assert ask(client) == (1.5, "miss")
    assert ask(client) == (1.5, "hit")
    assert ask(client, "  cpu ") == (1.5, "hit")


def test_every_api_and_form_of_a_hit_is_that_of_a_miss(client, push) -> None:
    for host in "abc":
        push("cpu", 1.5, {"host": host}, NOW_MS)
    wanted = [range_of(client, nocache="1", limit=limit) for limit in (0, 1)]

    for _ in range(2):
        assert [range_of(client, limit=limit) for limit in (0, 1)] == wanted
        assert ask(client)[0] == 1.5


def test_a_limit_leaves_the_kept_answer_whole(client, push) -> None:
    for host in "abc":
        push("cpu", 1.5, {"host": host}, NOW_MS)

    sizes = [range_of(client, limit=limit).count(b'"metric"') for limit in (1, 0, 2, 0)]

    assert sizes == [1, 3, 2, 3]


def test_instant_queries_are_kept_too(client, push) -> None:
    push("cpu", 1.5, {}, NOW_MS)

    for _ in range(2):
        response = client.get("/prometheus/api/v1/query?query=cpu")
        assert response.get_json()["data"]["result"][0]["value"] == [NOW_MS / 1000, "1.5"]

    assert counted(client, 'cache_hits_total{cache="query"}') == 1


def test_who_wrote_finds_what_was_written(client, push) -> None:
    push("cpu", 1.0, {}, NOW_MS - HOUR_MS)
    push("cpu", 1.5, {}, NOW_MS)
    assert ask(client) == (1.5, "miss")

    push("cpu", 2.5, {}, NOW_MS)
    assert ask(client) == (2.5, "miss")
    push("cpu", 9.0, {}, NOW_MS - HOUR_MS // 2)
    assert ask(client, "max_over_time(cpu[1h])") == (9.0, "miss")


def test_live_data_behind_the_range_leaves_it_cached(client, push) -> None:
    push("cpu", 1.5, {}, NOW_MS)
    ask(client)

    push("cpu", 2.5, {}, NOW_MS + 1000)

    assert ask(client) == (1.5, "hit")


def test_a_request_may_go_past_the_cache(client, push) -> None:
    push("cpu", 1.5, {}, NOW_MS)

    assert [ask(client, cache=False)[1] for _ in range(2)] == ["off", "off"]
    assert ask(client)[1] == "miss"


def test_a_hit_needs_no_place_among_the_running(client, push, services) -> None:
    push("cpu", 1.5, {}, NOW_MS)
    ask(client)
    about: dict[str, object] = {}
    held = [
        services.listings._admission.admit("listing", timeout_ms=None, about=about)
        for _ in range(services.config.query.max_concurrent)
    ]
    for place in held:
        place.__enter__()

    found = ask(client)

    for place in held:
        place.__exit__(None, None, None)
    assert found == (1.5, "hit")


def test_hits_are_counted_among_the_queries(client, push) -> None:
    push("cpu", 1.5, {}, NOW_MS)

    for _ in range(3):
        ask(client)

    assert counted(client, 'query_requests_total{kind="range",outcome="success"}') == 3
    assert counted(client, 'query_latency_seconds_count{kind="range"}') == 3


@pytest.mark.services
class TestRedis:
    """With a Redis of its own."""

    @pytest.fixture
    def server(self, tmp_path) -> Iterator[OwnRedis]:
        need_programs("redis-server")
        server = OwnRedis(tmp_path)
        server.start()
        yield server
        server.close()

    @pytest.fixture
    def config(self, server) -> Config:
        return Config(cache=CacheConfig(url=server.url, timeout_ms=5000))

    def test_the_second_request_is_a_hit(self, client, push, server) -> None:
        push("cpu", 1.5, {}, NOW_MS)

        assert ask(client) == (1.5, "miss")
        assert ask(client) == (1.5, "hit")
        with server.client() as inside:
            (key,) = inside.keys("cache:query:*")
            assert key.startswith(b"cache:query:")
            assert 0 < inside.pttl(key) <= 10_000

    def test_late_data_is_seen_when_the_time_of_the_answer_is_over(
        self, client, push, server
    ) -> None:
        push("cpu", 1.5, {}, NOW_MS)
        ask(client)

        push("cpu", 2.5, {}, NOW_MS)
        assert ask(client) == (1.5, "hit")
        with server.client() as inside:
            (key,) = inside.keys("cache:query:*")
            inside.pexpire(key, 0)

        assert ask(client) == (2.5, "miss")

    def test_without_redis_the_answers_are_the_same_and_health_says_so(
        self, client, push, server
    ) -> None:
        push("cpu", 1.5, {}, NOW_MS)
        wanted = range_of(client)
        assert client.get("/health").get_json()["checks"]["redis"]["latency_ms"] > 0

        server.send(signal.SIGKILL)

        assert [range_of(client) for _ in range(3)] == [wanted] * 3
        assert ask(client) == (1.5, "miss")
        assert counted(client, "cache_errors_total") >= 1

    def test_health_is_degraded_without_redis(self, client, server) -> None:
        server.send(signal.SIGKILL)

        response = client.get("/health")

        assert response.status_code == 200
        assert response.get_json()["status"] == "degraded"
        assert response.get_json()["checks"]["redis"]["status"] == "degraded"
        assert client.get("/health/ready").status_code == 200

    def test_corrupt_values_are_no_answers(self, client, push, server) -> None:
        push("cpu", 1.5, {}, NOW_MS)
        ask(client)
        with server.client() as inside:
            (key,) = inside.keys("cache:query:*")
            inside.setrange(key, 40, b"\xff\xff")

        assert ask(client) == (1.5, "miss")
        assert ask(client) == (1.5, "hit")
