"""`/api/v1/auth`: log-in, log-out, who one is, one's own password. Source: SPEC §8."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from tidegauge.auth.actor import Actor
from tidegauge.auth.principal import Principal
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.client import client_address
from tidegauge.web.context import people, request_id
from tidegauge.web.errors import json_response
from tidegauge.web.identity import (
    SESSION_COOKIE,
    current_actor,
    current_principal,
    refuse_foreign_pages,
    session_cookie,
)
from tidegauge.web.loopback import is_loopback_host
from tidegauge.web.openapi import describe

blueprint = Blueprint("auth", __name__, url_prefix="/api/v1/auth")


class LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who logs in."""

    username: str
    password: str


class PasswordBody(msgspec.Struct, forbid_unknown_fields=True):
    """One's password, and the one to have instead."""

    old_password: str
    new_password: str


@blueprint.post("/login")
@require("session:create")
@describe(body=LoginBody)
def login() -> Response:
    """Begin a session, in place of the one that the cookie held."""
    refuse_foreign_pages()
    body = read_json(LoginBody)
    session = people().logins.login(
        body.username,
        body.password,
        actor=Actor("stranger", "", client_address(), request_id()),
        user_agent=request.headers.get("User-Agent", "").replace("\0", ""),
        old_session=session_cookie(),
    )
    response = json_response({"data": describe_principal(session.principal)})
    _set_cookie(response, session.id, session.lifetime_s)
    return response


@blueprint.post("/logout")
@require("session:delete")
@describe(status=204, answer="")
def logout() -> Response:
    """End the session, everywhere."""
    people().logins.logout(session_cookie(), current_actor())
    response = Response(status=204)
    _set_cookie(response, "", 0)
    return response


@blueprint.get("/me")
@require("self:read")
@describe()
def me() -> Response:
    """Say who one is and what one may do."""
    return json_response({"data": describe_principal(current_principal())})


@blueprint.put("/password")
@require("self:change")
@describe(body=PasswordBody, status=204, answer="")
def change_password() -> Response:
    """Change one's own password; all one's sessions and tokens end."""
    body = read_json(PasswordBody)
    user_id = current_principal().user_id
    assert user_id is not None  # Only people have this permission.
    people().accounts.change_own_password(
        user_id, body.old_password, body.new_password, current_actor()
    )
    response = Response(status=204)
    _set_cookie(response, "", 0)
    return response


def describe_principal(principal: Principal) -> dict[str, object]:
    """Return what a sender may know of themselves."""
    return {
        "id": principal.user_id,
        "username": principal.name,
        "role": principal.role,
        "kind": principal.kind,
        "permissions": sorted(principal.permissions),
    }


def _set_cookie(response: Response, value: str, lifetime_s: int) -> None:
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=lifetime_s,
        # A browser sends a Secure cookie over HTTPS only, except that this machine needs none.
        secure=not is_loopback_host(request.host),
        httponly=True,
        samesite="Strict",
        path="/",
    )
