"""Whom a session or a token stands for, asked before every request.

First this process is asked, which believes what it read for a second; then the cache that all
share, for three; then the table, which is the record. So what has ended ends everywhere within
five seconds, and the loss of Redis changes nothing but speed. While the database is away, what was
last known holds, unless its end is known.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

import msgspec

from tidegauge.auth.permissions import OPEN_TO_ALL, Role, Scope, permissions_of_token
from tidegauge.auth.principal import Principal, person
from tidegauge.auth.secrets import digest, is_session_id, is_token
from tidegauge.cache.protocol import Cache
from tidegauge.errors import Unavailable
from tidegauge.storage.accounts_rows import CredentialRow
from tidegauge.storage.credentials import Credentials

Kind = Literal["session", "token", "person"]
_Read = Callable[[], CredentialRow | None]

LOCAL_FRESH_S = 1.0
SHARED_FRESH_MS = 3000
KEPT_S = 24 * 3600
_STALE_S = 3600.0
_PAUSE_S = 5.0
_MOST = 10_000


class _Known(msgspec.Struct, frozen=True):
    """What the cache that all share holds of one secret."""

    read_ms: int
    user_id: int
    user_name: str
    role: Role
    token_id: int | None
    token_name: str
    scopes: tuple[Scope, ...]
    expires_ms: int | None

    def principal(self) -> Principal:
        if self.token_id is None:
            return person(self.user_id, self.user_name, self.role)
        return Principal(
            kind="token",
            key=f"token:{self.token_id}",
            name=f"{self.token_name} of {self.user_name}",
            user_id=self.user_id,
            role=self.role,
            permissions=OPEN_TO_ALL | permissions_of_token(self.scopes, self.role),
        )


@dataclass(frozen=True, slots=True)
class _Local:
    read_s: float
    known: _Known | None


class Identities:
    """Tells whom secrets stand for; safe to use from many threads.

    Args:
        credentials: the record.
        cache: what all processes share.
        session_secret: mixed into the hashes of session ids.
        clock_ms: Unix ms.
        monotonic: seconds.
    """

    def __init__(
        self,
        credentials: Credentials,
        cache: Cache,
        *,
        session_secret: str = "",
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials, self._cache = credentials, cache
        self._session_secret = session_secret
        self._clock_ms, self._monotonic = clock_ms, monotonic
        self._lock = threading.Lock()
        self._local: OrderedDict[str, _Local] = OrderedDict()
        self._probing = threading.Lock()
        self._away_until_s: float | None = None

    def find_session(self, session_id: str) -> Principal | None:
        """Return whom a session stands for; None: nobody.

        Raises:
            Unavailable: nobody can say.
        """
        if not is_session_id(session_id):
            return None
        hashed = self.hash_session(session_id)
        return self._find("session", hashed, lambda: self._credentials.find_session(hashed))

    def find_token(self, token: str) -> Principal | None:
        """Return whom a token stands for; None: nobody.

        Raises:
            Unavailable: nobody can say.
        """
        if not is_token(token):
            return None
        hashed = digest(token)
        return self._find("token", hashed, lambda: self._credentials.find_token(hashed))

    def find_person(self, name: str) -> Principal | None:
        """Return the person with this account, for whom somebody trusted speaks; None: nobody.

        Raises:
            Unavailable: nobody can say.
        """
        hashed = hash_person(name)
        return self._find("person", hashed, lambda: self._credentials.find_person(name))

    def hash_session(self, session_id: str) -> bytes:
        """Return what is kept of a session id."""
        return digest(session_id, pepper=self._session_secret)

    def forget(self, hashes: Iterable[bytes]) -> None:
        """Note that sessions or tokens with these hashes have ended, or persons have changed."""
        for ended in hashes:
            name = ended.hex()
            with self._lock:
                for kind in get_args(Kind):
                    self._local.pop(f"{kind}:{name}", None)
            # Another process may put back what it read just before: the note goes over that.
            self._cache.set(f"ended:{name}", b"1", ttl_s=KEPT_S)
            self._cache.delete(*(f"{kind}:{name}" for kind in get_args(Kind)))

    def _find(self, kind: Kind, hashed: bytes, read: _Read) -> Principal | None:
        name = hashed.hex()
        key = f"{kind}:{name}"
        # Both before the look: what comes back late was true then, and may have ended since.
        now_s, now_ms = self._monotonic(), self._clock_ms()
        local = self._look_here(key)
        if local is not None and now_s - local.read_s < LOCAL_FRESH_S:
            return self._accept(local.known)
        shared = self._look_shared(key)
        # What a clock that is ahead of ours wrote would be fresh for as long as it is ahead.
        if shared is not None and 0 <= now_ms - shared.read_ms < SHARED_FRESH_MS:
            self._keep_here(key, shared, now_s)
            return self._accept(shared)
        try:
            row = self._ask(read)
        except Unavailable:
            return self._accept(self._last_known(name, local, shared))
        known = None if row is None else _to_known(row, now_ms)
        self._keep_here(key, known, now_s)
        if known is None:
            self._cache.delete(key)
        else:
            self._cache.set(key, msgspec.json.encode(known), ttl_s=KEPT_S)
        return self._accept(known)

    def _last_known(self, name: str, local: _Local | None, shared: _Known | None) -> _Known:
        recent = local is not None and self._monotonic() - local.read_s < _STALE_S
        known = local.known if local is not None and recent else shared
        if known is None or self._cache.get(f"ended:{name}") is not None:
            raise Unavailable("the database is away, so nobody can say who this is")
        return known

    def _ask(self, read: _Read) -> CredentialRow | None:
        # Ingestion goes on while the database is away: then one request in some seconds finds out
        # whether it is back, and the others do not wait for it.
        if self._away_until_s is None:
            return self._ask_now(read)
        if self._monotonic() < self._away_until_s or not self._probing.acquire(blocking=False):
            raise Unavailable("the database was away a moment ago")
        try:
            return self._ask_now(read)
        finally:
            self._probing.release()

    def _ask_now(self, read: _Read) -> CredentialRow | None:
        try:
            row = read()
        except Unavailable:
            self._away_until_s = self._monotonic() + _PAUSE_S
            raise
        self._away_until_s = None
        return row

    def _accept(self, known: _Known | None) -> Principal | None:
        if known is None:
            return None
        if known.expires_ms is not None and known.expires_ms <= self._clock_ms():
            return None
        return known.principal()

    def _look_here(self, key: str) -> _Local | None:
        with self._lock:
            return self._local.get(key)

    def _keep_here(self, key: str, known: _Known | None, read_s: float) -> None:
        with self._lock:
            self._local[key] = _Local(read_s, known)
            self._local.move_to_end(key)
            while len(self._local) > _MOST:
                self._local.popitem(last=False)

    def _look_shared(self, key: str) -> _Known | None:
        body = self._cache.get(key)
        if body is None:
            return None
        try:
            return msgspec.json.decode(body, type=_Known)
        except msgspec.MsgspecError:  # Somebody else's value: as if there were none.
            return None


def hash_person(name: str) -> bytes:
    """Return what stands for a person among hashes of secrets, by the name as it was sent.

    Which names are the same is the database's business: to Python, two accounts could be one.
    """
    return digest(name)


def _to_known(row: CredentialRow, read_ms: int) -> _Known:
    raw = {
        "read_ms": read_ms,
        "user_id": row.user_id,
        "user_name": row.user_name,
        "role": row.role,
        "token_id": row.token_id,
        "token_name": row.token_name,
        "scopes": tuple(row.scopes),
        "expires_ms": _to_ms(row.expires_at),
    }
    return msgspec.convert(raw, _Known)


def _to_ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.astimezone(UTC).timestamp() * 1000)
