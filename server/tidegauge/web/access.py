"""Who may do what: each route states a permission, and the sender has it or not.

A route that states none is refused. Source: SPEC §8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from flask import Flask, request

from tidegauge.auth.permissions import OPEN_TO_ALL
from tidegauge.errors import Forbidden, NotFound
from tidegauge.web.identity import Unauthenticated, current_principal, why_stranger

View = TypeVar("View", bound=Callable[..., Any])

_PERMISSION = "required_permission"
_LOG_LEVEL = "request_log_level"
_COUNTED_AS = "counted_as"


def require(
    permission: str, *, log_level: str = "info", counted_as: str = ""
) -> Callable[[View], View]:
    """State the permission that a view needs.

    Args:
        permission: one of `auth.permissions`.
        log_level: at which its successes are logged.
        counted_as: the permission as whose the rate limits count it; "": this one.
    """

    def mark(view: View) -> View:
        setattr(view, _PERMISSION, permission)
        setattr(view, _LOG_LEVEL, log_level)
        setattr(view, _COUNTED_AS, counted_as or permission)
        return view

    return mark


def find_permission(view: Callable[..., Any] | None) -> str | None:
    """Return the permission that a view states, or None if it states none."""
    stated: str | None = getattr(view, _PERMISSION, None)
    return stated


def find_counted_as(view: Callable[..., Any] | None) -> str:
    """Return as what the rate limits count a view."""
    counted: str = getattr(view, _COUNTED_AS, "")
    return counted


def find_log_level(view: Callable[..., Any] | None) -> str:
    """Return the level at which a view's successes are logged."""
    level: str = getattr(view, _LOG_LEVEL, "info")
    return level


def install_guard(app: Flask) -> None:
    """Ask what the sender may do before every request; unknown paths need an identity, too.

    That way a stranger learns nothing of what exists, and no spelling of a path slips by.
    """

    @app.before_request
    def _guard() -> None:
        # werkzeug matches "//api" as "/api"; a proxy that guards paths by prefix may not.
        doubled = request.environ.get("PATH_INFO", "").startswith("//")
        if request.endpoint is None or doubled:
            if current_principal().kind == "stranger":
                raise Unauthenticated(why_stranger())
            if doubled:
                raise NotFound(f"there is nothing at {request.environ['PATH_INFO']}")
            return
        permission = find_permission(app.view_functions.get(request.endpoint))
        if permission is None:
            raise Forbidden(f"{request.method} {request.path} states no permission: refused")
        if permission in OPEN_TO_ALL:
            return
        sender = current_principal()
        if sender.kind == "stranger":
            raise Unauthenticated(why_stranger())
        structlog.contextvars.bind_contextvars(user_id=sender.key)
        if not sender.may(permission):
            raise Forbidden(f"{sender.name} may not do this: it needs the permission {permission}")
