"""The tables of sessions and of tokens: by what somebody is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg2.extensions import cursor

from tidegauge.errors import NotFound
from tidegauge.storage.accounts_rows import AuditEntry, CredentialRow, TokenRow
from tidegauge.storage.audit import write_audit
from tidegauge.storage.pool import Pool
from tidegauge.storage.texts import is_storable

# A look-up stands before every request: it must not wait as long as a report may.
_LOOK_UP_AT_MOST_S = 3.0

_FIND_SESSION = """
SELECT users.id, users.name, users.role, NULL, '', '{}'::text[], sessions.expires_at
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id_hash = %s AND sessions.expires_at > now() AND NOT users.disabled
"""
_FIND_BEARER = """
SELECT users.id, users.name, users.role, token.id, token.name, token.scopes, token.expires_at
FROM api_tokens AS token JOIN users ON users.id = token.user_id
WHERE token.token_hash = %s AND token.revoked_at IS NULL
    AND (token.expires_at IS NULL OR token.expires_at > now()) AND NOT users.disabled
"""
_FIND_PERSON = """
SELECT users.id, users.name, users.role, NULL, '', '{}'::text[], NULL
FROM users WHERE lower(users.name) = lower(%s) AND NOT users.disabled
"""
# Whoever logs in clears away what has expired, a little at a time.
_FORGET_EXPIRED = """
DELETE FROM sessions WHERE id_hash IN (
    SELECT id_hash FROM sessions WHERE expires_at < now()
    ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED
)
"""
# Also a look whether the password still is the one that was checked, which takes a while: with
# the row held, whoever changes it comes before this, or after it and ends the session.
_FORGIVE = """
UPDATE users SET failed_logins = 0, locked_until = NULL
WHERE id = %s AND password_hash = %s AND NOT disabled RETURNING id
"""
_ADD_SESSION = """
INSERT INTO sessions (id_hash, user_id, expires_at, address, user_agent)
VALUES (%s, %s, now() + make_interval(secs => %s), %s, %s)
"""
_DELETE_SESSION = "DELETE FROM sessions WHERE id_hash = %s RETURNING user_id"
_COLUMNS = """
SELECT token.id, token.prefix, token.name, users.id, users.name, token.scopes,
    token.created_at, token.expires_at, token.revoked_at
FROM api_tokens AS token JOIN users ON users.id = token.user_id
"""
_LIST = _COLUMNS + "WHERE token.id > %(after)s ORDER BY token.id LIMIT %(limit)s"
_READ = _COLUMNS + "WHERE token.id = %s"
_ADD = """
INSERT INTO api_tokens (token_hash, prefix, name, user_id, scopes, expires_at)
SELECT %s, %s, %s, users.id, %s, %s FROM users WHERE users.id = %s RETURNING id
"""
_REVOKE = """
UPDATE api_tokens SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL
RETURNING token_hash
"""


class Credentials:
    """Sessions and tokens, known by hashes only; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def find_session(self, id_hash: bytes) -> CredentialRow | None:
        """Return whom a session stands for, if it holds and its account is not disabled.

        Raises:
            Unavailable.
        """
        return self._find(_FIND_SESSION, id_hash)

    def find_token(self, token_hash: bytes) -> CredentialRow | None:
        """Return whom a token stands for, if it holds and its account is not disabled.

        Raises:
            Unavailable.
        """
        return self._find(_FIND_BEARER, token_hash)

    def find_person(self, name: str) -> CredentialRow | None:
        """Return the account of this name, in whatever case, if it is not disabled.

        Raises:
            Unavailable.
        """
        return self._find(_FIND_PERSON, name) if is_storable(name) else None

    def add_session(
        self,
        id_hash: bytes,
        user_id: int,
        *,
        password_hash: str,
        lifetime_s: int,
        user_agent: str,
        replaced: bytes | None,
        audit: AuditEntry,
    ) -> bool:
        """Record a log-in: the new session, and the end of the one it replaces.

        Args:
            password_hash: what the password was checked against.
        Returns:
            Whether it was recorded: not if the account has another password by now, is disabled,
            or is gone.
        Raises:
            Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_FORGIVE, (user_id, password_hash))
            if lent.fetchone() is None:
                return False
            lent.execute(_FORGET_EXPIRED)
            if replaced is not None:
                lent.execute(_DELETE_SESSION, (replaced,))
            lent.execute(_ADD_SESSION, (id_hash, user_id, lifetime_s, audit.address, user_agent))
            write_audit(lent, audit)
            return True

    def end_session(self, id_hash: bytes, audit: AuditEntry) -> None:
        """End a session; it may have ended already.

        Raises:
            Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_DELETE_SESSION, (id_hash,))
            if lent.fetchone() is not None:
                write_audit(lent, audit)

    def add_token(
        self,
        token_hash: bytes,
        *,
        prefix: str,
        name: str,
        user_id: int,
        scopes: Sequence[str],
        expires_at: datetime | None,
        audit: AuditEntry,
    ) -> TokenRow:
        """Add a token of an account's.

        Raises:
            NotFound: there is no such account. Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_ADD, (token_hash, prefix, name, list(scopes), expires_at, user_id))
            row = lent.fetchone()
            if row is None:
                raise NotFound(f"there is no user {user_id}")
            write_audit(lent, audit, target=f"token:{row[0]}")
            return _read_token(lent, row[0])

    def revoke_token(self, token_id: int, audit: AuditEntry) -> bytes:
        """End a token for good, and return its hash.

        Raises:
            NotFound: there is none that holds under this id. Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_REVOKE, (token_id,))
            row = lent.fetchone()
            if row is None:
                raise NotFound(f"there is no token {token_id}, or it is revoked already")
            write_audit(lent, audit, target=f"token:{token_id}")
            return bytes(row[0])

    def list_tokens(self, *, after: int, limit: int) -> list[TokenRow]:
        """Return tokens in the order of their ids, those revoked too.

        Raises:
            Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_LIST, {"after": after, "limit": limit})
            return [TokenRow(*row) for row in lent.fetchall()]

    def _find(self, statement: str, key: bytes | str) -> CredentialRow | None:
        with self._pool.transaction(at_most_s=_LOOK_UP_AT_MOST_S) as lent:
            lent.execute(statement, (key,))
            row = lent.fetchone()
            return None if row is None else CredentialRow(*row)


def _read_token(lent: cursor, token_id: int) -> TokenRow:
    lent.execute(_READ, (token_id,))
    rows = lent.fetchall()
    return TokenRow(*rows[0])
