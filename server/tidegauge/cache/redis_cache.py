"""A cache in Redis, shared by all processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from structlog.typing import FilteringBoundLogger

from tidegauge.cache.protocol import NO_TOKEN, CacheAway, ErrorCounter
from tidegauge.errors import ConfigError
from tidegauge.observability.tracing import span

T = TypeVar("T")

PAUSE_S = 1.0
"""After a failure Redis is not asked for so long: a wait on every request would add up."""

# Compare and delete in one step: the claim may have lapsed, and be another's by now.
_RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('del', KEYS[1])
end
return 0
"""

_FAILURES = (redis.RedisError, OSError)
# An error that Redis itself answers with (a key of another type, memory full) tells that it is
# there; BusyLoadingError and AuthenticationError are ConnectionErrors, and so mean away.
_AWAY = (redis.ConnectionError, redis.TimeoutError, OSError)


class RedisCache:
    """A Cache in Redis.

    Nothing is tried twice. After a failure calls are misses at once for PAUSE_S; then one call
    tries, and the others go on without until it has succeeded.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        timeout_s: longest wait for a connection, for connecting, and for an answer.
        max_connections: so many calls may be under way; more wait, at most timeout_s.
        monotonic: the monotonic clock, seconds.
        new_id: makes the token of a claim.
        on_error: is told of each call that failed.
        log: is told when Redis goes away and when it is back.
    Raises:
        ConfigError: the url is none.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        max_connections: int,
        monotonic: Callable[[], float],
        new_id: Callable[[], str],
        on_error: ErrorCounter,
        log: FilteringBoundLogger,
    ) -> None:
        self._monotonic, self._new_id = monotonic, new_id
        self._on_error, self._log = on_error, log
        self._lock = threading.Lock()
        self._away = False
        self._asked_again_s = 0.0
        self._closed = False
        try:
            pool = redis.BlockingConnectionPool.from_url(
                url,
                max_connections=max_connections,
                timeout=timeout_s,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as exc:
            # Its message quotes no more than the scheme; the url may hold a password.
            raise ConfigError(f"REDIS_URL: {exc}") from exc
        self._client = redis.Redis(connection_pool=pool)

    def get(self, key: str) -> bytes | None:
        """Return the value, or None. See Cache."""
        with span("cache.get"):
            return self._ask("get", lambda client: cast("bytes | None", client.get(key)), None)

    def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep a value. See Cache."""
        with span("cache.set", bytes=len(value)):
            self._ask("set", lambda client: client.set(key, value, px=_to_ms(ttl_s)), None)

    def delete(self, *keys: str) -> None:
        """Keep these keys' values no longer. See Cache."""
        if keys:
            self._ask("delete", lambda client: client.delete(*keys), None)

    def claim(self, key: str, *, ttl_s: float) -> str | None:
        """Take a key. See Cache."""
        token = self._new_id()

        def take(client: redis.Redis) -> str | None:
            return token if client.set(key, token, px=_to_ms(ttl_s), nx=True) else None

        return self._ask("claim", take, NO_TOKEN)

    def release(self, key: str, token: str) -> None:
        """Give a claim back. See Cache."""
        if token != NO_TOKEN:
            self._ask("release", lambda client: client.eval(_RELEASE, 1, key, token), None)

    def post(self, board: str, name: str, value: bytes, *, ttl_s: float) -> bool:
        """Put a value on a board: a key of its own, and its name in the board's set. See Cache."""

        def put(client: redis.Redis) -> bool:
            with client.pipeline(transaction=False) as pipeline:
                pipeline.set(f"{board}:{name}", value, px=_to_ms(ttl_s))
                pipeline.sadd(board, name)
                pipeline.pexpire(board, _to_ms(ttl_s))
                pipeline.execute()
            return True

        return self._ask("post", put, False)

    def read_board(self, board: str) -> dict[str, bytes]:
        """Return all that stands on a board; names whose value went are dropped. See Cache."""

        def read(client: redis.Redis) -> dict[str, bytes]:
            names = [name.decode() for name in cast("set[bytes]", client.smembers(board))]
            if not names:
                return {}
            values = cast("list[bytes | None]", client.mget([f"{board}:{name}" for name in names]))
            found = dict(zip(names, values, strict=True))
            gone = [name for name, value in found.items() if value is None]
            if gone:
                # Who posts again at this very moment is missing until the post after that.
                client.srem(board, *gone)
            return {name: value for name, value in found.items() if value is not None}

        return self._ask("read_board", read, {})

    def ping(self) -> None:
        """Ask Redis even when others do without for the moment; an answer ends that.

        Raises:
            CacheAway: it does not answer.
        """
        try:
            self._client.ping()
        except _FAILURES as exc:
            self._note_failure(exc)
            raise CacheAway(f"Redis does not answer: {exc}") from exc
        self._note_success()

    def close(self) -> None:
        """Close the connections; later calls are misses."""
        self._closed = True
        self._client.connection_pool.disconnect()

    def _ask(self, operation: str, ask: Callable[[redis.Redis], Any], otherwise: T) -> T:
        if not self._may_ask():
            return otherwise
        try:
            answer = ask(self._client)
        except _FAILURES as exc:
            self._on_error(operation)
            if isinstance(exc, _AWAY):
                self._note_failure(exc)
            else:
                self._note_success()
                self._log.warning("the cache refused", operation=operation, error=str(exc))
            return otherwise
        self._note_success()
        return cast("T", answer)

    def _may_ask(self) -> bool:
        if self._closed:
            return False
        if not self._away:
            return True
        with self._lock:
            now_s = self._monotonic()
            if now_s < self._asked_again_s:
                return False
            # This call tries; the others go on without until it knows.
            self._asked_again_s = now_s + PAUSE_S
            return True

    def _note_failure(self, error: Exception) -> None:
        with self._lock:
            was_away, self._away = self._away, True
            self._asked_again_s = self._monotonic() + PAUSE_S
        if not was_away:
            self._log.warning("Redis is away, work goes on without", error=str(error))

    def _note_success(self) -> None:
        if not self._away:
            return
        with self._lock:
            was_away, self._away = self._away, False
        if was_away:
            self._log.info("Redis is back")


def _to_ms(ttl_s: float) -> int:
    return max(1, round(ttl_s * 1000))
