"""Rate limits count alike in memory and in Redis, and pass everything when Redis is away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tidegauge.config import CacheConfig
from tidegauge.resilience.ratelimit import RateLimiter

from tests.support.needs import need_programs
from tests.support.redis import OwnRedis, run_redis


@pytest.fixture(params=["memory", "redis"])
def limiter(request: pytest.FixtureRequest) -> RateLimiter:
    if request.param == "memory":
        return RateLimiter(CacheConfig())
    server = request.getfixturevalue("redis_server")
    with server.client() as client:
        client.flushall()
    return RateLimiter(CacheConfig(url=server.url, timeout_ms=5000))


def test_so_many_pass_and_the_next_one_does_not(limiter) -> None:
    verdicts = [limiter.check("query", "a", 3) for _ in range(4)]

    assert [one.allowed for one in verdicts] == [True, True, True, False]
    assert [one.remaining for one in verdicts] == [2, 1, 0, 0]
    assert 1 <= verdicts[-1].reset_s <= 60


def test_senders_and_kinds_are_counted_apart(limiter) -> None:
    assert limiter.check("query", "a", 1).allowed
    assert not limiter.check("query", "a", 1).allowed

    assert limiter.check("query", "b", 1).allowed
    assert limiter.check("ingest", "a", 1).allowed


def test_two_processes_count_together_in_redis(redis_server) -> None:
    with redis_server.client() as client:
        client.flushall()
    config = CacheConfig(url=redis_server.url, timeout_ms=5000)

    assert RateLimiter(config).check("query", "a", 1).allowed
    assert not RateLimiter(config).check("query", "a", 1).allowed


def test_a_request_costs_one_round_trip(redis_server) -> None:
    limiter = RateLimiter(CacheConfig(url=redis_server.url, timeout_ms=5000))
    limiter.check("query", "a", 100)  # Loads the script.
    with redis_server.client() as client:
        client.config_resetstat()

        verdict = limiter.check("query", "a", 100)

        calls = client.info("commandstats")
    assert verdict.remaining == 98
    # What the script itself does is counted, too, by the names of the commands.
    sent = {name: stats["calls"] for name, stats in calls.items() if "eval" in name}
    assert sent == {"cmdstat_evalsha": 1}


@pytest.fixture
def own_redis(tmp_path) -> Iterator[OwnRedis]:
    need_programs("redis-server")
    with run_redis(tmp_path) as server:
        yield server


def test_without_redis_everything_passes_and_is_counted_until_it_is_back(own_redis) -> None:
    now_s, failures = [100.0], []
    limiter = RateLimiter(
        CacheConfig(url=own_redis.url, timeout_ms=5000),
        on_failure=lambda: failures.append(1),
        monotonic=lambda: now_s[0],
    )
    own_redis.kill()

    assert limiter.check("query", "a", 1) is None
    own_redis.start()
    # It is not asked again at once, so that nobody waits for a Redis that is away.
    assert limiter.check("query", "a", 1) is None
    now_s[0] += 2

    assert limiter.check("query", "a", 1).allowed
    assert len(failures) == 2
