"""The table of people."""

from __future__ import annotations

from psycopg2.extensions import cursor

from tidegauge.errors import Conflict, NotFound
from tidegauge.storage.accounts_rows import AuditEntry, LoginRow, UserRow
from tidegauge.storage.audit import write_audit
from tidegauge.storage.pool import Pool
from tidegauge.storage.texts import is_storable

# One lock for the few changes that could leave nobody in charge; 1 is any number.
_LOCK_ROLES = "SELECT pg_advisory_xact_lock(hashtext('tidegauge.users'), 1)"
_ADD = """
INSERT INTO users (name, password_hash, role) VALUES (%s, %s, %s)
ON CONFLICT DO NOTHING RETURNING id, name, role, disabled, created_at
"""
_LIST = """
SELECT id, name, role, disabled, created_at FROM users
WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
"""
_FIND = "SELECT id, name, role, disabled, created_at FROM users WHERE id = %s"
_FIND_NAMED = "SELECT id, name, role, disabled, created_at FROM users WHERE lower(name) = lower(%s)"
_FIND_LOGIN = """
SELECT id, name, role, disabled, created_at, password_hash,
    coalesce(locked_until > clock_timestamp(), false)
FROM users WHERE lower(name) = lower(%s)
"""
_COUNT_ADMINS = "SELECT count(*) FROM users WHERE role = 'admin' AND NOT disabled AND id <> %s"
_HAS_ANY = "SELECT EXISTS (SELECT FROM users)"
_CHANGE = """
UPDATE users SET role = coalesce(%(role)s, role), disabled = coalesce(%(disabled)s, disabled),
    password_hash = coalesce(%(hash)s, password_hash), changed_at = now(),
    failed_logins = 0, locked_until = NULL
WHERE id = %(id)s
"""
_DELETE = "DELETE FROM users WHERE id = %s"
_END_SESSIONS = "DELETE FROM sessions WHERE user_id = %s RETURNING id_hash"
_END_TOKENS = """
UPDATE api_tokens SET revoked_at = now() WHERE user_id = %s AND revoked_at IS NULL
RETURNING token_hash
"""
_NOTE_FAILURE = """
UPDATE users SET failed_logins = failed_logins + 1,
    locked_until = CASE WHEN failed_logins + 1 >= %(most)s
        THEN clock_timestamp() + make_interval(secs => %(lock_s)s) ELSE locked_until END
WHERE id = %(id)s
"""


class Users:
    """People's accounts; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def add(self, name: str, password_hash: str, role: str, audit: AuditEntry) -> UserRow:
        """Add an account.

        Raises:
            Conflict: somebody has this name. Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_ADD, (name, password_hash, role))
            row = lent.fetchone()
            if row is None:
                raise Conflict(f'there is a user "{name}" already')
            write_audit(lent, audit, target=f"user:{row[0]}")
            return UserRow(*row)

    def add_first(self, name: str, password_hash: str, audit: AuditEntry) -> UserRow | None:
        """Add an admin if there is nobody yet, however many processes try; else return None.

        Raises:
            Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_LOCK_ROLES)
            lent.execute(_HAS_ANY)
            if lent.fetchone() == (True,):
                return None
            lent.execute(_ADD, (name, password_hash, "admin"))
            row = lent.fetchone()
            if row is None:
                return None
            write_audit(lent, audit, target=f"user:{row[0]}")
            return UserRow(*row)

    def page(self, *, after: int, limit: int) -> list[UserRow]:
        """Return accounts in the order of their ids, from the first behind `after`."""
        with self._pool.transaction() as lent:
            lent.execute(_LIST, {"after": after, "limit": limit})
            return [UserRow(*row) for row in lent.fetchall()]

    def find(self, user_id: int) -> UserRow | None:
        """Return an account by its id."""
        return self._find(_FIND, user_id)

    def find_named(self, name: str) -> UserRow | None:
        """Return an account by its name, in whatever case."""
        return self._find(_FIND_NAMED, name) if is_storable(name) else None

    def find_login(self, name: str) -> LoginRow | None:
        """Return what a log-in under this name is checked against."""
        if not is_storable(name):
            return None
        with self._pool.transaction() as lent:
            lent.execute(_FIND_LOGIN, (name,))
            row = lent.fetchone()
            return None if row is None else LoginRow(UserRow(*row[:5]), row[5], row[6])

    def change(
        self,
        user_id: int,
        audit: AuditEntry,
        *,
        role: str | None = None,
        disabled: bool | None = None,
        password_hash: str | None = None,
    ) -> list[bytes]:
        """Change an account, and end its sessions and tokens.

        Returns:
            The hashes of what has ended.
        Raises:
            NotFound. Conflict: nobody would be admin any more. Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_LOCK_ROLES)
            if disabled or (role is not None and role != "admin"):
                _keep_an_admin(lent, user_id)
            lent.execute(
                _CHANGE,
                {"id": user_id, "role": role, "disabled": disabled, "hash": password_hash},
            )
            if lent.rowcount == 0:
                raise NotFound(f"there is no user {user_id}")
            write_audit(lent, audit, target=f"user:{user_id}")
            return _end_all(lent, user_id)

    def delete(self, user_id: int, audit: AuditEntry) -> list[bytes]:
        """Delete an account with its sessions and tokens; return the hashes of these.

        Raises:
            NotFound. Conflict: nobody would be admin any more. Unavailable.
        """
        with self._pool.transaction() as lent:
            lent.execute(_LOCK_ROLES)
            _keep_an_admin(lent, user_id)
            ended = _end_all(lent, user_id)
            lent.execute(_DELETE, (user_id,))
            if lent.rowcount == 0:
                raise NotFound(f"there is no user {user_id}")
            write_audit(lent, audit, target=f"user:{user_id}")
            return ended

    def note_failed_login(
        self, user_id: int | None, audit: AuditEntry, *, most: int, lock_s: float
    ) -> None:
        """Count a wrong password; from the `most`th in a row on, lock the account for lock_s.

        Args:
            user_id: None where nothing is to be counted: it takes as long, so that nobody can tell.
            audit: what the log of changes says.
        """
        with self._pool.transaction() as lent:
            lent.execute(_NOTE_FAILURE, {"id": user_id, "most": most, "lock_s": lock_s})
            write_audit(lent, audit)

    def _find(self, statement: str, key: int | str) -> UserRow | None:
        with self._pool.transaction() as lent:
            lent.execute(statement, (key,))
            row = lent.fetchone()
            return None if row is None else UserRow(*row)


def _keep_an_admin(lent: cursor, user_id: int) -> None:
    lent.execute(_FIND, (user_id,))
    row = lent.fetchone()
    if row is None:
        raise NotFound(f"there is no user {user_id}")
    user = UserRow(*row)
    lent.execute(_COUNT_ADMINS, (user_id,))
    if user.role == "admin" and not user.disabled and lent.fetchone() == (0,):
        raise Conflict(f'"{user.name}" is the only admin; make another one first')


def _end_all(lent: cursor, user_id: int) -> list[bytes]:
    ended: list[bytes] = []
    for statement in (_END_SESSIONS, _END_TOKENS):
        lent.execute(statement, (user_id,))
        ended.extend(bytes(row[0]) for row in lent.fetchall())
    return ended
