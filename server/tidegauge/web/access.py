"""Who may do what: each route states a permission, and a policy says who has it.

A route that states none is refused. Without accounts there are two ways in: the access token, and
the machine's own programs, which may do everything. Anybody else has only what is open to all
(health probes).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from flask import Flask, request

from tidegauge.errors import NotFound, TidegaugeError
from tidegauge.web.client import has_token, is_forwarded

View = TypeVar("View", bound=Callable[..., Any])

OPEN_TO_ALL = frozenset({"health:probe"})
"""Permissions that need no identity: they show no data and change none."""

_PERMISSION = "required_permission"
_LOG_LEVEL = "request_log_level"
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?", re.IGNORECASE | re.ASCII)


class Unauthenticated(TidegaugeError):
    """Nobody knows who sends this."""

    code = "unauthenticated"


class Forbidden(TidegaugeError):
    """The sender is known, or need not be, and may not do this."""

    code = "forbidden"


def require(permission: str, *, log_level: str = "info") -> Callable[[View], View]:
    """State the permission that a view needs, and the level at which its successes are logged."""

    def mark(view: View) -> View:
        setattr(view, _PERMISSION, permission)
        setattr(view, _LOG_LEVEL, log_level)
        return view

    return mark


def find_permission(view: Callable[..., Any] | None) -> str | None:
    """Return the permission that a view states, or None if it states none."""
    stated: str | None = getattr(view, _PERMISSION, None)
    return stated


def find_log_level(view: Callable[..., Any] | None) -> str:
    """Return the level at which a view's successes are logged."""
    level: str = getattr(view, _LOG_LEVEL, "info")
    return level


class AccessPolicy(Protocol):
    """Decides whether the sender of the current request has a permission."""

    def check(self, permission: str) -> None:
        """Return if so.

        Raises:
            Unauthenticated, Forbidden.
        """
        ...


class LoopbackPolicy:
    """Who has the access token, and programs on this machine, may do everything.

    A wrong credential is refused from anywhere, also where none would have been needed.

    What a proxy forwards comes from somebody else, even if the proxy is on this machine.
    A browser on this machine speaks for whatever page it shows. So the Host header must name
    this machine (a page that rebinds its own name to 127.0.0.1 sends its own name), and an
    Origin header, if there is one, too.
    """

    def check(self, permission: str) -> None:
        """Let the current request pass, or say why not."""
        if permission in OPEN_TO_ALL or has_token():
            return
        # Who gives a password means it; to be let in with a wrong one hides the mistake.
        if request.headers.get("Authorization"):
            raise Unauthenticated(
                "the Authorization header does not hold the access token (TIDEGAUGE_ACCESS_TOKEN)"
            )
        if is_forwarded():
            raise Unauthenticated(
                "a request that a proxy forwards needs the access token (TIDEGAUGE_ACCESS_TOKEN)"
            )
        if not is_loopback_address(request.environ.get("REMOTE_ADDR", "")):
            raise Unauthenticated(
                "only programs on the server's own machine are let in without the access token, "
                "and this request comes from another one"
            )
        host = request.environ.get("HTTP_HOST")
        if host is not None and not is_loopback_host(host):
            raise Unauthenticated(
                f'the Host header names "{host[:256]}"; requests without an account must use '
                "localhost, 127.0.0.1 or [::1]"
            )
        origin = request.environ.get("HTTP_ORIGIN")
        if origin is not None and not is_loopback_origin(origin):
            raise Unauthenticated(
                f'a page of "{origin[:256]}" may not use this server without an account'
            )


@functools.lru_cache(maxsize=1024)
def is_loopback_address(address: str) -> bool:
    """Return whether an IP address is this machine's own."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


@functools.lru_cache(maxsize=1024)
def is_loopback_host(host: str) -> bool:
    """Return whether a Host header (`name[:port]`) names this machine."""
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    bracketed, plain = found.groups()
    if bracketed is not None:
        return is_loopback_address(bracketed)
    name = plain.lower().removesuffix(".")
    return name == "localhost" or is_loopback_address(name)


@functools.lru_cache(maxsize=1024)
def is_loopback_origin(origin: str) -> bool:
    """Return whether an Origin header names a page of this machine; `null` does not."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and is_loopback_host(parts.netloc)


def install_guard(app: Flask, policy: AccessPolicy) -> None:
    """Ask the policy before every request; unknown paths need a permission, too.

    That way a stranger learns nothing of what exists, and no spelling of a path slips by.
    """

    @app.before_request
    def _guard() -> None:
        if request.endpoint is None:
            policy.check("unknown")
            return
        # werkzeug matches "//api" as "/api"; a proxy that guards paths by prefix may not.
        if request.environ.get("PATH_INFO", "").startswith("//"):
            policy.check("unknown")
            raise NotFound(f"there is nothing at {request.environ['PATH_INFO']}")
        permission = find_permission(app.view_functions.get(request.endpoint))
        if permission is None:
            raise Forbidden(f"{request.method} {request.path} states no permission: refused")
        policy.check(permission)
