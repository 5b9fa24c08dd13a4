"""The cache that the settings ask for."""

from __future__ import annotations

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from tidegauge.cache.inprocess import InProcessCache
from tidegauge.cache.protocol import Cache, ErrorCounter
from tidegauge.cache.redis_cache import RedisCache
from tidegauge.config import CacheConfig


def open_cache(
    config: CacheConfig,
    *,
    max_connections: int,
    monotonic: Callable[[], float],
    new_id: Callable[[], str],
    on_error: ErrorCounter,
    log: FilteringBoundLogger,
) -> Cache:
    """Return the cache in Redis, or without REDIS_URL the one inside this process.

    To be called after any fork. Connects at the first use, so that a Redis that is away hinders
    no start.

    Args:
        max_connections: how many threads use it at once.
        monotonic: the monotonic clock, seconds.
        new_id: makes the token of a claim.
        on_error: is told of each call that failed.
        log: is told when Redis goes away and when it is back.
    Raises:
        ConfigError: REDIS_URL is no address.
    """
    if not config.url:
        return open_local_cache(config, monotonic=monotonic, new_id=new_id)
    return RedisCache(
        config.url,
        timeout_s=config.timeout_ms / 1000,
        max_connections=max_connections,
        monotonic=monotonic,
        new_id=new_id,
        on_error=on_error,
        log=log,
    )


def open_local_cache(
    config: CacheConfig, *, monotonic: Callable[[], float], new_id: Callable[[], str]
) -> InProcessCache:
    """Return a cache inside this process, whatever REDIS_URL says."""
    return InProcessCache(max_bytes=config.max_bytes, monotonic=monotonic, new_id=new_id)
