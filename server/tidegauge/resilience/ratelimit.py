"""How many requests a minute one sender may make: sliding windows, in Redis where there is one.

Whatever goes wrong, requests pass: a limit protects against too much, not against anybody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from tidegauge.config import CacheConfig

PAUSE_S = 1.0

# The library's two scripts as one: counting a request, and looking at what is left.
_COUNT_AND_LOOK = b"""
local function count(KEYS, ARGV)
%b
end
local function look(KEYS, ARGV)
%b
end
local counted = count(KEYS, ARGV)
return {counted, look(KEYS, {ARGV[2]})}
""" % (RedisStorage.SCRIPT_ACQUIRE_SLIDING_WINDOW, RedisStorage.SCRIPT_SLIDING_WINDOW)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and what is left.

    Args:
        allowed: whether it may.
        limit: requests a minute.
        remaining: how many more there may be now.
        reset_s: seconds until there is room again.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: int


class RateLimiter:
    """Counts requests in sliding windows of a minute; safe from any number of threads.

    Args:
        config: Redis, if there is one, and how long to wait for it.
        on_failure: is told when a request passed uncounted.
        monotonic: seconds.
    """

    def __init__(
        self,
        config: CacheConfig,
        *,
        on_failure: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_failure, self._monotonic = on_failure, monotonic
        self._strategy = SlidingWindowCounterRateLimiter(_open_storage(config))
        self._lock = threading.Lock()
        self._paused_until_s = 0.0

    def check(self, kind: str, who: str, per_minute: int) -> Verdict | None:
        """Count one request, and return whether it may pass; None where nobody could count.

        Args:
            kind: "ingest" or "query".
            who: the sender.
            per_minute: the limit.
        """
        if self._monotonic() < self._paused_until_s:
            self._on_failure()
            return None
        item = RateLimitItemPerMinute(per_minute, namespace="ratelimit")
        try:
            allowed = self._strategy.hit(item, kind, who)
            stats = self._strategy.get_window_stats(item, kind, who)
        except (RedisError, StorageError, OSError):
            # While Redis is away nobody waits for it again and again.
            self._paused_until_s = self._monotonic() + PAUSE_S
            self._on_failure()
            return None
        reset_s = max(1, round(stats.reset_time - time.time()))
        return Verdict(allowed, per_minute, stats.remaining, reset_s)


class _OneTripStorage(RedisStorage):
    """The library's storage in Redis, asked once a request instead of twice.

    What counts a request brings the window along. So the window may be asked for only in the
    thread that counted a request of the same sender just before, as `RateLimiter.check` does.
    """

    def initialize_storage(self, _uri: str) -> None:
        super().initialize_storage(_uri)
        count_and_look = self.get_connection().register_script(_COUNT_AND_LOOK)
        seen = threading.local()

        def count(keys: list[str], args: list[int]) -> object:
            counted, seen.window = count_and_look(keys, args)
            return counted

        self.lua_acquire_sliding_window = cast("Any", count)
        self.lua_sliding_window = cast("Any", lambda _keys, _args: seen.window)


def _open_storage(config: CacheConfig) -> Storage:
    if not config.url:
        return MemoryStorage()
    wait_s = config.timeout_ms / 1000
    options: dict[str, Any] = {
        "socket_timeout": wait_s,
        "socket_connect_timeout": wait_s,
        "retry": Retry(NoBackoff(), 0),
    }
    return _OneTripStorage(config.url, wrap_exceptions=True, key_prefix="ratelimit", **options)
