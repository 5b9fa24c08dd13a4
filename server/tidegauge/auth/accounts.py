"""Accounts and tokens: made, changed and ended by admins, and one's own password by oneself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidegauge.auth.actor import SYSTEM, Actor
from tidegauge.auth.identities import Identities, hash_person
from tidegauge.auth.login import ACCOUNT_LOCK_S, MOST_FAILURES, WrongPassword
from tidegauge.auth.passwords import Passwords, make_password
from tidegauge.auth.permissions import as_role, as_scopes
from tidegauge.auth.secrets import SHOWN_CHARS, digest, make_token
from tidegauge.errors import InvalidInput, NotFound
from tidegauge.storage.accounts_rows import TokenRow, UserRow
from tidegauge.storage.credentials import Credentials
from tidegauge.storage.users import Users

FIRST_ADMIN = "admin"
LONGEST_TOKEN_DAYS = 3650

_NAME = re.compile(r"[\w.@+ -]{1,100}")


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made, with the secret that is shown this once."""

    row: TokenRow
    secret: str


class Accounts:
    """Manages people and tokens; safe to use from many threads.

    Args:
        users, credentials: the record.
        identities: is told what has ended.
        passwords: hashes them.
        clock_ms: Unix ms.
    """

    def __init__(
        self,
        *,
        users: Users,
        credentials: Credentials,
        identities: Identities,
        passwords: Passwords,
        clock_ms: Callable[[], int],
    ) -> None:
        self._users, self._credentials = users, credentials
        self._identities, self._passwords = identities, passwords
        self._clock_ms = clock_ms

    def create_first_admin(self, password: str = "") -> str | None:
        """Make the account `admin` if there is nobody yet.

        Args:
            password: "" for a random one.
        Returns:
            The password, to be shown once; None if there was somebody.
        Raises:
            BadPassword. Unavailable.
        """
        if self._users.page(after=0, limit=1):
            return None
        chosen = password or make_password()
        hashed = self._passwords.hash(chosen, name=FIRST_ADMIN)
        entry = SYSTEM.entry("user.create", details={"name": FIRST_ADMIN, "role": "admin"})
        return None if self._users.add_first(FIRST_ADMIN, hashed, entry) is None else chosen

    def create_user(self, name: str, password: str, role: str, actor: Actor) -> UserRow:
        """Add an account.

        Raises:
            InvalidInput: of the name or the role. BadPassword. Conflict. Unavailable.
        """
        check_name("user", name)
        hashed = self._passwords.hash(password, name=name)
        entry = actor.entry("user.create", details={"name": name, "role": as_role(role)})
        return self._users.add(name, hashed, as_role(role), entry)

    def list_users(self, *, after: int, limit: int) -> list[UserRow]:
        """Return accounts in the order of their ids, from the first behind `after`."""
        return self._users.page(after=after, limit=limit)

    def read_user(self, user_id: int) -> UserRow:
        """Return an account.

        Raises:
            NotFound. Unavailable.
        """
        found = self._users.find(user_id)
        if found is None:
            raise NotFound(f"there is no user {user_id}")
        return found

    def find_user(self, name: str) -> UserRow | None:
        """Return the account of this name, in whatever case."""
        return self._users.find_named(name)

    def change_user(
        self,
        user_id: int,
        actor: Actor,
        *,
        role: str | None = None,
        disabled: bool | None = None,
        password: str | None = None,
    ) -> UserRow:
        """Change an account; all its sessions and tokens end.

        Raises:
            InvalidInput, BadPassword, NotFound, Conflict, Unavailable.
        """
        name = self.read_user(user_id).name
        hashed = None if password is None else self._passwords.hash(password, name=name)
        changed: dict[str, object] = {"role": role, "disabled": disabled}
        details = {key: value for key, value in changed.items() if value is not None}
        if password is not None:
            details["changed"] = "password"
        ended = self._users.change(
            user_id,
            actor.entry("user.update", details=details),
            role=None if role is None else as_role(role),
            disabled=disabled,
            password_hash=hashed,
        )
        self._identities.forget([*ended, *_hashes_of(name)])
        return self.read_user(user_id)

    def change_own_password(self, user_id: int, old: str, new: str, actor: Actor) -> None:
        """Change one's own password; all one's sessions and tokens end, this one too.

        Raises:
            WrongPassword: the old one is not right, or was guessed at too often.
            BadPassword. Unavailable.
        """
        found = self._users.find_login(self.read_user(user_id).name)
        fits = found is not None and self._passwords.verify(old, found.password_hash)
        if found is None or not fits or found.locked:
            # Whoever found an open browser must not be able to guess on without an end.
            self._users.note_failed_login(
                user_id,
                actor.entry("password.refused", f"user:{user_id}"),
                most=MOST_FAILURES,
                lock_s=ACCOUNT_LOCK_S,
            )
            raise WrongPassword("the present password is not right, or the account is locked")
        self.change_user(user_id, actor, password=new)

    def delete_user(self, user_id: int, actor: Actor) -> None:
        """Delete an account with its sessions and tokens.

        Raises:
            NotFound, Conflict, Unavailable.
        """
        name = self.read_user(user_id).name
        ended = self._users.delete(user_id, actor.entry("user.delete", details={"name": name}))
        self._identities.forget([*ended, *_hashes_of(name)])

    def create_token(
        self, name: str, user_id: int, scopes: Sequence[str], days: int | None, actor: Actor
    ) -> NewToken:
        """Make a token that acts for an account within its scopes.

        Args:
            days: how long it holds; None: until it is revoked.
        Raises:
            InvalidInput, NotFound, Unavailable.
        """
        check_name("token", name)
        if days is not None and not 1 <= days <= LONGEST_TOKEN_DAYS:
            raise InvalidInput(
                f"a token holds for 1 to {LONGEST_TOKEN_DAYS} days, or for good; not for {days}"
            )
        wanted = as_scopes(scopes)
        secret = make_token()
        row = self._credentials.add_token(
            digest(secret),
            prefix=secret[:SHOWN_CHARS],
            name=name,
            user_id=user_id,
            scopes=wanted,
            expires_at=None if days is None else self._now() + timedelta(days=days),
            audit=actor.entry("token.create", details={"name": name, "scopes": list(wanted)}),
        )
        return NewToken(row, secret)

    def list_tokens(self, *, after: int, limit: int) -> list[TokenRow]:
        """Return tokens in the order of their ids, from the first behind `after`."""
        return self._credentials.list_tokens(after=after, limit=limit)

    def revoke_token(self, token_id: int, actor: Actor) -> None:
        """End a token for good.

        Raises:
            NotFound, Unavailable.
        """
        ended = self._credentials.revoke_token(token_id, actor.entry("token.revoke"))
        self._identities.forget([ended])

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock_ms() / 1000, UTC)


def _hashes_of(name: str) -> set[bytes]:
    # Grafana sends a name as its own user has it: other spellings are believed a while longer.
    return {hash_person(spelling) for spelling in (name, name.lower())}


def check_name(kind: str, name: str) -> None:
    """Return if a name is fit for an account or a token.

    Raises:
        InvalidInput.
    """
    if _NAME.fullmatch(name) is None or name != name.strip():
        raise InvalidInput(
            f"the {kind}'s name {name[:120]!r} must have 1 to 100 letters, digits, or . @ + - _ "
            "and spaces between them"
        )
