"""What the tables of accounts hold, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class UserRow:
    """A person's account, without the hash of the password."""

    id: int
    name: str
    role: str
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class LoginRow:
    """What a log-in is checked against.

    Args:
        locked: whether the account is locked now.
    """

    user: UserRow
    password_hash: str
    locked: bool


@dataclass(frozen=True, slots=True)
class CredentialRow:
    """Whom a session or a token stands for.

    Args:
        token_id: the token's; None for a session.
        token_name: "" for a session.
        scopes: the token's; empty for a session.
        expires_at: None: never.
    """

    user_id: int
    user_name: str
    role: str
    token_id: int | None
    token_name: str
    scopes: Sequence[str]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token, without its hash."""

    id: int
    prefix: str
    name: str
    user_id: int
    user_name: str
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, or sign-in, to be recorded with it.

    Args:
        actor: the principal's key, or "command".
        actor_name: for people to read.
        action: as in "user.create".
        target: what was changed, as in "user:7"; "" where the change itself makes the id.
        details: more, without secrets.
        address, request_id: where it came from.
    """

    actor: str
    actor_name: str
    action: str
    target: str = ""
    details: Mapping[str, object] = field(default_factory=dict)
    address: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One recorded entry."""

    id: int
    at: datetime
    entry: AuditEntry
