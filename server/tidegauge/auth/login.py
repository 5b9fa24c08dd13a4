"""Log-in and log-out: who knows the password gets a session, who guesses is stopped.

Two bounds, since either alone can be got round. An address has a few tries a minute and is then
locked out (counted in Redis, so it falls away with it); an account takes a number of wrong
passwords in a row and then one try a minute (counted in its row, so it always holds).
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.auth.actor import Actor
from tidegauge.auth.identities import KEPT_S, Identities
from tidegauge.auth.passwords import Passwords
from tidegauge.auth.permissions import as_role
from tidegauge.auth.principal import Principal, person
from tidegauge.auth.secrets import is_session_id, make_session_id
from tidegauge.cache.protocol import Cache
from tidegauge.config import AccessConfig
from tidegauge.errors import TidegaugeError, Unavailable
from tidegauge.resilience.ratelimit import RateLimiter
from tidegauge.storage.accounts_rows import LoginRow
from tidegauge.storage.audit import AuditLog
from tidegauge.storage.credentials import Credentials
from tidegauge.storage.users import Users

MOST_FAILURES = 10
ACCOUNT_LOCK_S = 60.0
LONGEST_AGENT_CHARS = 256


class WrongPassword(TidegaugeError):
    """Name and password do not go together, or the account is disabled or locked for now."""

    code = "wrong_password"


class LockedOut(Unavailable):
    """Too many log-ins were tried from one address."""

    code = "locked_out"


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in that succeeded.

    Args:
        id: for the cookie; nobody keeps it.
        principal: who logged in.
        lifetime_s: how long it holds.
    """

    id: str
    principal: Principal
    lifetime_s: int


class Logins:
    """Makes and ends sessions; safe to use from many threads.

    Args:
        users, credentials, audit: the record.
        identities: is told what has ended.
        passwords: checks them.
        limiter: counts tries by address.
        cache: keeps lock-outs.
        config: the bounds.
    """

    def __init__(
        self,
        *,
        users: Users,
        credentials: Credentials,
        audit: AuditLog,
        identities: Identities,
        passwords: Passwords,
        limiter: RateLimiter,
        cache: Cache,
        config: AccessConfig,
    ) -> None:
        self._users, self._credentials, self._audit = users, credentials, audit
        self._identities, self._passwords = identities, passwords
        self._limiter, self._cache, self._config = limiter, cache, config

    def login(
        self, name: str, password: str, *, actor: Actor, user_agent: str, old_session: str
    ) -> Session:
        """Return a new session; the one that the browser had ends.

        Args:
            actor: whence; who is not known yet.
            old_session: what the cookie held, "" for nothing.
        Raises:
            WrongPassword. LockedOut. Unavailable.
        """
        self._check_address(actor)
        found = self._users.find_login(name)
        known = found.password_hash if found is not None else None
        fits = self._passwords.verify(password, known)
        if found is None or not fits or found.user.disabled or found.locked:
            self._note_failure(name, found, actor, fits=fits)
            raise _wrong_password()
        user = found.user
        session_id = make_session_id()
        replaced = (
            self._identities.hash_session(old_session) if is_session_id(old_session) else None
        )
        principal = person(user.id, user.name, as_role(user.role))
        who = Actor.of(principal, address=actor.address, request_id=actor.request_id)
        is_added = self._credentials.add_session(
            self._identities.hash_session(session_id),
            user.id,
            password_hash=found.password_hash,
            lifetime_s=KEPT_S,
            user_agent=user_agent[:LONGEST_AGENT_CHARS],
            replaced=replaced,
            audit=who.entry("session.create", f"user:{user.id}"),
        )
        if not is_added:
            raise _wrong_password()
        if replaced is not None:
            self._identities.forget([replaced])
        return Session(session_id, principal, KEPT_S)

    def logout(self, session_id: str, actor: Actor) -> None:
        """End a session, if it is one.

        Raises:
            Unavailable: the end could not be recorded; it holds still.
        """
        if not is_session_id(session_id):
            return
        hashed = self._identities.hash_session(session_id)
        self._credentials.end_session(hashed, actor.entry("session.delete", actor.key))
        self._identities.forget([hashed])

    def _check_address(self, actor: Actor) -> None:
        lock = f"lockout:login:{actor.address}"
        lock_s = self._config.lockout_s
        locked = self._cache.get(lock) is not None
        if not locked:
            verdict = self._limiter.check("login", actor.address, self._config.logins_per_minute)
            locked = verdict is not None and not verdict.allowed
            if locked:
                self._cache.set(lock, b"1", ttl_s=lock_s)
                self._audit.write(actor.entry("session.lockout"))
        if locked:
            raise LockedOut(
                f"more than {self._config.logins_per_minute} log-ins a minute from one address "
                f"(TIDEGAUGE_RATE_LOGIN_PER_MINUTE): locked out for {lock_s} s "
                "(TIDEGAUGE_LOGIN_LOCKOUT_SECONDS)",
                retry_after_s=lock_s,
            )

    def _note_failure(self, name: str, found: LoginRow | None, actor: Actor, *, fits: bool) -> None:
        counts = found is not None and not fits and not found.locked
        target = f"user:{found.user.id}" if found is not None else ""
        # What was typed as a name may be a password: only names that exist are recorded.
        details = {"name": name} if found is not None else {"name": "unknown"}
        self._users.note_failed_login(
            found.user.id if found is not None and counts else None,
            actor.entry("session.refused", target, details),
            most=MOST_FAILURES,
            lock_s=ACCOUNT_LOCK_S,
        )


def _wrong_password() -> WrongPassword:
    return WrongPassword("name and password do not go together, or the account is locked")
