"""Whoever makes a request: a person, a token, a program on this machine, or a stranger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from tidegauge.auth.permissions import (
    LOCAL_PERMISSIONS,
    OPEN_TO_ALL,
    ROLE_PERMISSIONS,
    Role,
)

Kind = Literal["person", "token", "local", "stranger"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody, with what they may do.

    Args:
        kind: how they are known.
        key: tells them apart in limits and logs: "user:7", "token:3", "local", "stranger".
        name: for people to read; a person's log-in name.
        user_id: the account, whose things are their own; None without one.
        role: the account's role; None without one.
        permissions: what they may do.
    """

    kind: Kind
    key: str
    name: str
    user_id: int | None
    role: Role | None
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        """Return whether they have a permission; who may touch anybody's may touch their own."""
        if permission in self.permissions:
            return True
        thing, _, whose = permission.rpartition(":")
        return whose == "own" and f"{thing}:any" in self.permissions

    def may_touch(self, thing: str, action: str, owner_id: int | None) -> bool:
        """Return whether they may do this to a thing of that owner's.

        Args:
            thing, action: as in "dashboard", "update".
            owner_id: the account whose thing it is; None: nobody's.
        """
        if self.may(f"{thing}:{action}:any"):
            return True
        mine = self.user_id is not None and self.user_id == owner_id
        return mine and self.may(f"{thing}:{action}:own")

    def limited_to(self, permissions: frozenset[str]) -> Principal:
        """Return the same one with no more than these permissions."""
        return replace(self, permissions=self.permissions & permissions)


STRANGER = Principal(
    kind="stranger",
    key="stranger",
    name="",
    user_id=None,
    role=None,
    permissions=OPEN_TO_ALL,
)

LOCAL = Principal(
    kind="local",
    key="local",
    name="a program on this machine",
    user_id=None,
    role=None,
    permissions=OPEN_TO_ALL | LOCAL_PERMISSIONS,
)


def person(user_id: int, name: str, role: Role) -> Principal:
    """Return the principal of a signed-in person."""
    return Principal(
        kind="person",
        key=f"user:{user_id}",
        name=name,
        user_id=user_id,
        role=role,
        permissions=OPEN_TO_ALL | ROLE_PERMISSIONS[role],
    )
