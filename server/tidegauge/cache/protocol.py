"""What a cache does, whoever keeps the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tidegauge.errors import Unavailable

ErrorCounter = Callable[[str], None]
"""Is told the operation ("get", "set", "delete", "claim", "release", "post", "read_board") that
failed."""

NO_TOKEN = ""
"""The token of a claim that nobody could be asked about."""


class CacheAway(Unavailable):
    """The server that keeps the values does not answer; only `ping` says so."""


class Cache(Protocol):
    """Keeps bytes under keys for a while; safe to use from many threads.

    Everything fails open: but for `ping` no method raises on account of the server, a failed read
    is a miss, and a failed write keeps nothing.
    """

    def get(self, key: str) -> bytes | None:
        """Return the value, or None where there is none, it has expired, or nobody answers."""
        ...

    def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep a value for ttl_s seconds (a millisecond at least) in place of any other."""
        ...

    def delete(self, *keys: str) -> None:
        """Keep these keys' values no longer."""
        ...

    def claim(self, key: str, *, ttl_s: float) -> str | None:
        """Take a key that one holder at a time may have, across all who share the cache.

        Args:
            ttl_s: when the claim lapses by itself, its holder having died.
        Returns:
            The token to release it with; None where another holds it; NO_TOKEN where nobody can
            say: then go ahead as if it were yours.
        """
        ...

    def release(self, key: str, token: str) -> None:
        """Give a claim back; one that has lapsed and is another's by now stays the other's."""
        ...

    def post(self, board: str, name: str, value: bytes, *, ttl_s: float) -> bool:
        """Put a value on a board, in place of what this name put there before.

        Args:
            board: what all who share the cache may read as a whole.
            ttl_s: when it goes by itself; the same for all that is put on one board.
        Returns:
            Whether it stands there now.
        """
        ...

    def read_board(self, board: str) -> dict[str, bytes]:
        """Return all that stands on a board, by name; nothing where nobody answers."""
        ...

    def ping(self) -> None:
        """Return when the cache answers.

        Raises:
            CacheAway: it does not.
        """
        ...

    def close(self) -> None:
        """Let go of connections; later calls are misses."""
        ...
