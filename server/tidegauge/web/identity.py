"""Who sends a request: a token, a person with a session, a program on this machine, a stranger.

Flask-Login asks once a request and remembers; `current_principal` is what views and the guard use.
A credential in the Authorization header counts alone: a wrong one is refused, wherever it comes
from. A session rides in a cookie, which browsers send by themselves, so what changes anything must
come from a page of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from flask import Flask, Request, current_app, request
from flask_login import AnonymousUserMixin, LoginManager, UserMixin, current_user

from tidegauge.auth.actor import Actor
from tidegauge.auth.identities import Identities
from tidegauge.auth.permissions import OPEN_TO_ALL, ROLE_PERMISSIONS
from tidegauge.auth.principal import LOCAL, STRANGER, Principal
from tidegauge.errors import Forbidden, TidegaugeError
from tidegauge.web.client import (
    client_address,
    forwarded_person,
    given_credential,
    is_access_token,
)
from tidegauge.web.context import request_id
from tidegauge.web.loopback import find_foreign_trait

SESSION_COOKIE = "tidegauge_session"

_EXTENSION = "tidegauge-identity"
_VIEWER = ROLE_PERMISSIONS["viewer"] | OPEN_TO_ALL
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class Unauthenticated(TidegaugeError):
    """Nobody knows who sends this."""

    code = "unauthenticated"


@dataclass(frozen=True, slots=True)
class Known:
    """Whom an app can tell apart.

    Args:
        identities: sessions and tokens; None where there are no accounts.
        local: who programs on this machine are; STRANGER where that gives them nothing.
    """

    identities: Identities | None
    local: Principal


class _Visitor(UserMixin):  # type: ignore[misc]
    """What Flask-Login keeps of a sender."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    def get_id(self) -> str:
        return self.principal.key


class _Stranger(AnonymousUserMixin):  # type: ignore[misc]
    principal = STRANGER


def install_identity(app: Flask, known: Known) -> None:
    """Make the app tell its senders apart."""
    app.extensions[_EXTENSION] = known
    manager = LoginManager()
    # Sessions are ours, kept on the server; Flask's own signed cookie is not used at all.
    manager.session_protection = None
    manager.anonymous_user = _Stranger
    manager.request_loader(_load)
    manager.init_app(app, add_context_processor=False)


def current_principal() -> Principal:
    """Return who sends the current request.

    Raises:
        Unauthenticated: what the request shows is no credential of ours.
        Forbidden: a page of somebody else's used a person's session.
        Unavailable: nobody can say.
    """
    principal: Principal = current_user.principal
    return principal


def current_actor() -> Actor:
    """Return who sends the current request, and whence, for the audit log."""
    return Actor.of(current_principal(), address=client_address(), request_id=request_id())


def session_cookie() -> str:
    """Return the session id in the request's cookie, or ""."""
    return request.cookies.get(SESSION_COOKIE, "")


def why_stranger() -> str:
    """Return why a request is a stranger's, and what would help."""
    trait = find_foreign_trait()
    if trait is None or _known().local is STRANGER:
        return "sign in, or send an API token (Authorization: Bearer …)"
    return f"sign in, or send an API token: this is no program on the server's machine, for {trait}"


def refuse_foreign_pages() -> None:
    """Return if what changes something does not come from a page of somebody else's.

    Browsers say where a request comes from; what says nothing is no browser. The same method as
    Go's http.CrossOriginProtection.

    Raises:
        Forbidden.
    """
    if request.method in _SAFE:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        origin = request.headers.get("Origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign:
        raise Forbidden("a page of another site may not use a session of this one")


def _known() -> Known:
    known: Known = current_app.extensions[_EXTENSION]
    return known


def _load(_request: Request) -> _Visitor | None:
    principal = _find_principal()
    return None if principal is None else _Visitor(principal)


def _find_principal() -> Principal | None:
    known = _known()
    credential = given_credential()
    if credential is not None:
        return _speak_for_person(_accept(known, credential), known)
    signed_in = None
    if known.identities is not None and (cookie := session_cookie()):
        signed_in = known.identities.find_session(cookie)
    if signed_in is not None:
        refuse_foreign_pages()
        return signed_in
    if known.local is not STRANGER and find_foreign_trait() is None:
        return known.local
    return None


def _accept(known: Known, credential: str) -> Principal:
    if is_access_token(credential):
        return replace(LOCAL, kind="token", key="token:access", name="the access token")
    found = known.identities.find_token(credential) if known.identities is not None else None
    if found is None:
        raise Unauthenticated(
            "the credential in the Authorization header is no API token of ours, or one that has "
            "ended"
        )
    return found


def _speak_for_person(principal: Principal, known: Known) -> Principal:
    name = forwarded_person()
    if not name:
        return principal
    found = known.identities.find_person(name) if known.identities is not None else None
    spoken_for = found or replace(
        STRANGER, key=f"grafana:{name}", name=name, role="viewer", permissions=_VIEWER
    )
    return replace(spoken_for.limited_to(principal.permissions), kind="person")
