"""A cache in the memory of one process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

ENTRY_BYTES = 400
"""What an entry costs besides key and value: the objects and its place in the table."""


@dataclass(frozen=True, slots=True)
class _Entry:
    value: bytes
    expires_s: float
    size_bytes: int


class InProcessCache:
    """A Cache bounded in bytes; when it is full, what was not read for longest goes.

    Args:
        max_bytes: keys, values and their keeping together; 0 keeps nothing.
        monotonic: the monotonic clock, seconds.
        new_id: makes the token of a claim.
    """

    def __init__(
        self, *, max_bytes: int, monotonic: Callable[[], float], new_id: Callable[[], str]
    ) -> None:
        self._max_bytes, self._monotonic, self._new_id = max_bytes, monotonic, new_id
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """The bytes held now."""
        return self._held_bytes

    def get(self, key: str) -> bytes | None:
        """Return the value, or None. See Cache."""
        with self._lock:
            entry = self._find(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry.value

    def set(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep a value; one that would not fit even alone is not kept. See Cache."""
        with self._lock:
            self._put(key, value, ttl_s)

    def delete(self, *keys: str) -> None:
        """Keep these keys' values no longer. See Cache."""
        with self._lock:
            for key in keys:
                self._drop(key)

    def claim(self, key: str, *, ttl_s: float) -> str | None:
        """Take a key. See Cache."""
        with self._lock:
            if self._find(key) is not None:
                return None
            token = self._new_id()
            self._put(key, token.encode(), ttl_s)
            return token

    def release(self, key: str, token: str) -> None:
        """Give a claim back. See Cache."""
        with self._lock:
            entry = self._find(key)
            if entry is not None and entry.value == token.encode():
                self._drop(key)

    def post(self, board: str, name: str, value: bytes, *, ttl_s: float) -> bool:
        """Put a value on a board. See Cache."""
        key = f"{board}:{name}"
        with self._lock:
            self._put(key, value, ttl_s)
            return key in self._entries

    def read_board(self, board: str) -> dict[str, bytes]:
        """Return all that stands on a board. See Cache."""
        prefix = f"{board}:"
        with self._lock:
            found = {key: self._find(key) for key in list(self._entries) if key.startswith(prefix)}
        return {key.removeprefix(prefix): entry.value for key, entry in found.items() if entry}

    def ping(self) -> None:
        """Return: memory answers."""

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._held_bytes = 0

    def _find(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and self._monotonic() >= entry.expires_s:
            self._drop(key)
            return None
        return entry

    def _put(self, key: str, value: bytes, ttl_s: float) -> None:
        self._drop(key)
        size_bytes = len(key.encode()) + len(value) + ENTRY_BYTES
        if size_bytes > self._max_bytes:
            return
        while self._held_bytes + size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[key] = _Entry(value, self._monotonic() + ttl_s, size_bytes)
        self._held_bytes += size_bytes

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._held_bytes -= entry.size_bytes
