"""What every cache promises, held against each implementation; and Redis's going and coming."""

from __future__ import annotations

import io
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from tidegauge.cache.inprocess import InProcessCache
from tidegauge.cache.protocol import NO_TOKEN, Cache, CacheAway
from tidegauge.cache.redis_cache import PAUSE_S, RedisCache
from tidegauge.errors import ConfigError
from tidegauge.observability.health import Status, timed_check
from tidegauge.observability.logs import make_logger

from tests.support.needs import need_programs
from tests.support.redis import OwnRedis
from tests.support.servers import wait_until

pytestmark = pytest.mark.services


class Clock:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory) -> Iterator[OwnRedis]:
    need_programs("redis-server")
    server = OwnRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def errors() -> list[str]:
    """The operations that failed."""
    return []


@pytest.fixture
def log_stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def open_redis(clock, errors, log_stream) -> Iterator[Callable[..., RedisCache]]:
    numbers = itertools.count(1)
    opened: list[RedisCache] = []

    def start(url: str, *, timeout_s: float = 5.0) -> RedisCache:
        cache = RedisCache(
            url,
            timeout_s=timeout_s,
            max_connections=8,
            monotonic=clock,
            new_id=lambda: f"token-{next(numbers)}",
            on_error=errors.append,
            log=make_logger(log_stream, level="debug", service="test", clock_ms=lambda: 0),
        )
        opened.append(cache)
        return cache

    yield start
    for cache in opened:
        cache.close()


@pytest.fixture
def redis_cache(redis_server, open_redis) -> RedisCache:
    with closing(redis_server.client()) as client:
        client.flushall()
    return open_redis(redis_server.url)


@pytest.fixture
def inprocess() -> InProcessCache:
    numbers = itertools.count(1)
    return InProcessCache(
        max_bytes=1_000_000, monotonic=time.monotonic, new_id=lambda: f"token-{next(numbers)}"
    )


@pytest.fixture(params=["inprocess", "redis_cache"])
def cache(request: pytest.FixtureRequest) -> Cache:
    return request.getfixturevalue(request.param)


def test_what_was_set_is_got_byte_for_byte(cache) -> None:
    value = bytes(range(256)) * 10

    cache.set("key", value, ttl_s=60)

    assert cache.get("key") == value
    assert cache.get("other") is None


def test_keys_are_case_sensitive_and_may_hold_any_text(cache) -> None:
    cache.set("Schlüssel A", b"1", ttl_s=60)
    cache.set("schlüssel a", b"2", ttl_s=60)

    assert (cache.get("Schlüssel A"), cache.get("schlüssel a")) == (b"1", b"2")


def test_the_last_value_counts(cache) -> None:
    cache.set("key", b"first", ttl_s=60)
    cache.set("key", b"second", ttl_s=60)

    assert cache.get("key") == b"second"


def test_an_empty_value_is_a_value(cache) -> None:
    cache.set("key", b"", ttl_s=60)

    assert cache.get("key") == b""


def test_a_value_goes_when_its_time_is_over(cache) -> None:
    cache.set("short", b"x", ttl_s=0.05)
    cache.set("long", b"x", ttl_s=60)

    wait_until(lambda: cache.get("short") is None, timeout_s=10, what="the value expires")
    assert cache.get("long") == b"x"


def test_a_new_value_has_a_new_time(cache) -> None:
    cache.set("key", b"old", ttl_s=0.05)
    cache.set("key", b"new", ttl_s=60)
    cache.set("probe", b"x", ttl_s=0.06)

    wait_until(lambda: cache.get("probe") is None, timeout_s=10, what="the probe expires")
    assert cache.get("key") == b"new"


def test_deleted_values_are_gone_and_missing_ones_are_no_matter(cache) -> None:
    for key in "abc":
        cache.set(key, b"x", ttl_s=60)

    cache.delete("a", "b", "missing")
    cache.delete()

    assert [cache.get(key) for key in "abc"] == [None, None, b"x"]


def test_a_claim_has_one_holder_until_it_is_released(cache) -> None:
    token = cache.claim("claim", ttl_s=60)

    assert token
    assert cache.claim("claim", ttl_s=60) is None
    assert cache.claim("another", ttl_s=60)
    cache.release("claim", token)
    assert cache.claim("claim", ttl_s=60)


def test_a_claim_lapses_and_its_late_release_leaves_the_next_holder_alone(cache) -> None:
    late = cache.claim("claim", ttl_s=0.05)
    taken: list[str] = []

    def take() -> bool:
        token = cache.claim("claim", ttl_s=60)
        taken.extend([token] if token else [])
        return bool(token)

    wait_until(take, timeout_s=10, what="the claim lapses")
    cache.release("claim", late)

    assert cache.claim("claim", ttl_s=60) is None
    cache.release("claim", taken[0])
    assert cache.claim("claim", ttl_s=60)


def test_of_many_threads_one_gets_the_claim(cache) -> None:
    start, got = threading.Barrier(8), []

    def run() -> None:
        start.wait(20)
        got.append(cache.claim("claim", ttl_s=60))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len([token for token in got if token]) == 1
    assert got.count(None) == 7


def test_a_board_shows_what_each_name_posted_last(cache) -> None:
    assert cache.post("board", "a", b"1", ttl_s=60)
    assert cache.post("board", "b", b"", ttl_s=60)
    assert cache.post("board", "a", b"2", ttl_s=60)
    cache.post("another", "c", b"3", ttl_s=60)

    assert cache.read_board("board") == {"a": b"2", "b": b""}
    assert cache.read_board("empty") == {}


def test_what_was_posted_goes_when_its_time_is_over(cache) -> None:
    cache.post("board", "a", b"1", ttl_s=0.05)
    cache.post("board", "b", b"2", ttl_s=60)

    wait_until(
        lambda: cache.read_board("board") == {"b": b"2"}, timeout_s=10, what="the value expires"
    )
    cache.post("board", "a", b"3", ttl_s=60)

    assert cache.read_board("board") == {"a": b"3", "b": b"2"}


def test_it_answers_a_ping(cache) -> None:
    assert timed_check(cache.ping, monotonic=time.monotonic)().status is Status.HEALTHY


def test_after_closing_all_is_a_miss(cache) -> None:
    cache.set("key", b"x", ttl_s=60)

    cache.close()

    assert cache.get("key") is None


def test_redis_forgets_by_itself(redis_cache, redis_server) -> None:
    redis_cache.set("key", b"x", ttl_s=12.5)
    redis_cache.claim("claim", ttl_s=3)
    redis_cache.set("shortest", b"x", ttl_s=0)

    with closing(redis_server.client()) as client:
        assert 0 < client.pttl("key") <= 12_500
        assert 0 < client.pttl("claim") <= 3000


def test_redis_forgets_names_whose_values_went(redis_cache, redis_server) -> None:
    redis_cache.post("board", "a", b"1", ttl_s=60)
    redis_cache.post("board", "b", b"2", ttl_s=60)
    with closing(redis_server.client()) as client:
        client.delete("board:a")

        assert redis_cache.read_board("board") == {"b": b"2"}

        assert client.smembers("board") == {b"b"}
        assert 0 < client.pttl("board") <= 60_000


def test_a_key_of_another_type_is_a_miss_is_counted_and_does_not_count_as_away(
    redis_cache, redis_server, errors
) -> None:
    with closing(redis_server.client()) as client:
        client.rpush("key", "a list")

    assert redis_cache.get("key") is None
    redis_cache.set("other", b"x", ttl_s=60)

    assert errors == ["get"]
    assert redis_cache.get("other") == b"x"


def test_a_full_redis_keeps_nothing_new_and_still_answers(
    redis_cache, redis_server, errors
) -> None:
    redis_cache.set("old", b"x", ttl_s=60)
    with closing(redis_server.client()) as client:
        client.config_set("maxmemory", 1)
        redis_cache.set("new", b"x", ttl_s=60)
        token = redis_cache.claim("claim", ttl_s=60)
        client.config_set("maxmemory", 0)

    assert errors == ["set", "claim"]
    assert token == NO_TOKEN
    assert (redis_cache.get("old"), redis_cache.get("new")) == (b"x", None)


def test_a_dead_redis_is_a_miss_at_once_and_comes_back_by_itself(
    open_redis, tmp_path, clock, errors, log_stream
) -> None:
    need_programs("redis-server")
    server = OwnRedis(tmp_path)
    server.start()
    cache = open_redis(server.url)
    cache.set("key", b"x", ttl_s=60)

    server.send(signal.SIGKILL)
    missed = [cache.get("key") for _ in range(5)]
    cache.set("key", b"x", ttl_s=60)
    token = cache.claim("claim", ttl_s=60)
    cache.release("claim", token)
    cache.delete("key")
    posted = cache.post("board", "a", b"1", ttl_s=60)
    board = cache.read_board("board")
    with pytest.raises(CacheAway):
        cache.ping()

    # The first call alone found out, the others were spared.
    assert (missed, token, errors) == ([None] * 5, NO_TOKEN, ["get"])
    assert (posted, board) == (False, {})
    server.start()
    assert cache.claim("claim", ttl_s=60) == NO_TOKEN
    clock.now_s += PAUSE_S
    cache.set("key", b"y", ttl_s=60)
    assert cache.get("key") == b"y"
    assert cache.claim("claim", ttl_s=60)
    server.close()
    messages = log_stream.getvalue().decode()
    assert messages.count("Redis is away") == messages.count("Redis is back") == 1


def test_a_ping_that_is_answered_ends_the_pause(open_redis, tmp_path) -> None:
    need_programs("redis-server")
    server = OwnRedis(tmp_path)
    cache = open_redis(server.url)
    assert cache.get("key") is None

    server.start()
    cache.set("key", b"unheard", ttl_s=60)
    cache.ping()
    cache.set("key", b"heard", ttl_s=60)

    assert cache.get("key") == b"heard"
    server.close()


def test_a_hanging_redis_is_waited_for_once_and_then_left_out(
    open_redis, tmp_path, clock, errors
) -> None:
    need_programs("redis-server")
    server = OwnRedis(tmp_path)
    server.start()
    cache = open_redis(server.url, timeout_s=0.1)
    cache.set("key", b"x", ttl_s=60)

    server.send(signal.SIGSTOP)
    hung = [cache.get("key") for _ in range(50)]
    server.send(signal.SIGCONT)
    clock.now_s += PAUSE_S

    assert (hung, errors) == ([None] * 50, ["get"])
    wait_until(lambda: cache.get("key") == b"x", timeout_s=10, what="the value is back")
    server.close()


def test_while_it_is_away_one_call_tries_after_each_pause(
    open_redis, tmp_path, clock, errors
) -> None:
    cache = open_redis(OwnRedis(tmp_path).url)

    for _ in range(3):
        for _ in range(10):
            cache.get("key")
        clock.now_s += PAUSE_S

    assert errors == ["get"] * 3


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "redis://:secret@127.0.0.1:port/0"])
def test_a_url_that_is_none_is_a_fault_of_the_settings(open_redis, url) -> None:
    with pytest.raises(ConfigError, match="REDIS_URL") as caught:
        open_redis(url)

    assert "secret" not in caught.value.message
