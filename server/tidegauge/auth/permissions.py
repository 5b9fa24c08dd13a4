"""The one table of who may do what: roles of people, scopes of tokens, named permissions.

A permission is named `thing:action`, or `thing:action:own` and `thing:action:any` where it matters
whose thing it is. Source: SPEC §8.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from tidegauge.errors import InvalidInput

Role = Literal["viewer", "editor", "admin"]
Scope = Literal["ingest", "query", "dashboards", "alerts", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)
SCOPES: tuple[Scope, ...] = get_args(Scope)

OPEN_TO_ALL = frozenset({"health:probe", "session:create"})
"""What needs no identity: it shows no data and changes none; a log-in is how one gets any."""

_SELF = frozenset({"self:read", "session:delete", "self:change"})
_QUERY = frozenset({"query:read", "annotation:read"})
_DASHBOARDS_READ = frozenset({"dashboard:read"})
_ALERTS_READ = frozenset({"alert:read"})
_DASHBOARDS_OWN = frozenset({"dashboard:create", "dashboard:update:own", "dashboard:delete:own"})
_ALERTS_OWN = frozenset(
    {
        "alert:acknowledge",
        "alert:create",
        "alert:update:own",
        "alert:delete:own",
        "silence:change",
    }
)
_ANNOTATIONS = frozenset({"annotation:create", "annotation:delete:own"})
_ADMIN = frozenset(
    {
        "admin:change",
        "admin:read",
        "alert:delete:any",
        "alert:update:any",
        "annotation:delete:any",
        "audit:read",
        "dashboard:delete:any",
        "dashboard:read:any",
        "dashboard:update:any",
        "dead-letters:change",
        "dead-letters:read",
        "folder:change",
        "routing:change",
        "token:change",
        "token:read",
        "user:change",
        "user:read",
    }
)
_INGEST = frozenset({"metrics:write", "alert:post"})
_SYSTEM_READ = frozenset({"reference:read", "system:read"})

_VIEWER = _SELF | _QUERY | _DASHBOARDS_READ | _ALERTS_READ | _SYSTEM_READ
_EDITOR = _VIEWER | _DASHBOARDS_OWN | _ALERTS_OWN | _ANNOTATIONS

ROLE_PERMISSIONS: dict[Role, frozenset[str]] = {
    "viewer": _VIEWER,
    "editor": _EDITOR,
    "admin": _EDITOR | _ADMIN | _INGEST,
}

SCOPE_PERMISSIONS: dict[Scope, frozenset[str]] = {
    "ingest": _INGEST | {"annotation:create"},
    "query": _QUERY | _DASHBOARDS_READ | _ALERTS_READ | _SYSTEM_READ | {"self:read"},
    "dashboards": _DASHBOARDS_READ
    | _DASHBOARDS_OWN
    | {"dashboard:update:any", "dashboard:delete:any", "dashboard:read:any", "folder:change"}
    | {"self:read"},
    "alerts": _ALERTS_READ | _ALERTS_OWN | {"alert:update:any", "alert:delete:any", "self:read"},
    "admin": _ADMIN | _SYSTEM_READ | {"self:read"},
}

ALL_PERMISSIONS = frozenset().union(OPEN_TO_ALL, *ROLE_PERMISSIONS.values())

LOCAL_PERMISSIONS = (
    SCOPE_PERMISSIONS["ingest"] | _QUERY | _DASHBOARDS_READ | _ALERTS_READ | _SYSTEM_READ
)
"""What programs on the machine of an embedded server may do without an account."""


def permissions_of_token(scopes: tuple[Scope, ...], role: Role) -> frozenset[str]:
    """Return what a token may do: its scopes, as far as its owner's role allows.

    Ingestion is let through whatever the role: only admins make tokens, and a machine that sends
    metrics or alerts needs to be no admin.
    """
    wanted = frozenset().union(*(SCOPE_PERMISSIONS[scope] for scope in scopes))
    ceiling = ROLE_PERMISSIONS[role]
    if "ingest" in scopes:
        ceiling |= SCOPE_PERMISSIONS["ingest"]
    return wanted & ceiling


def as_role(text: str) -> Role:
    """Return the role of this name.

    Raises:
        InvalidInput: there is none.
    """
    for role in ROLES:
        if role == text:
            return role
    raise InvalidInput(f'there is no role "{text}"; there are {", ".join(ROLES)}')


def as_scopes(texts: Iterable[str]) -> tuple[Scope, ...]:
    """Return the scopes of these names, each once, in the order of the table.

    Raises:
        InvalidInput: none is named, or one that does not exist.
    """
    wanted = set(texts)
    unknown = sorted(wanted - set(SCOPES))
    if unknown or not wanted:
        wrong = f'there is no scope "{unknown[0]}"' if unknown else "a token needs a scope"
        raise InvalidInput(f"{wrong}; there are {', '.join(SCOPES)}")
    return tuple(scope for scope in SCOPES if scope in wanted)
