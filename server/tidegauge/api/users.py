"""`/api/v1/users`: people's accounts, for admins. Source: SPEC §8."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from tidegauge.errors import InvalidInput
from tidegauge.storage.accounts_rows import UserRow
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import people
from tidegauge.web.errors import json_response
from tidegauge.web.identity import current_actor
from tidegauge.web.openapi import describe
from tidegauge.web.pages import PAGE, read_page

blueprint = Blueprint("users", __name__, url_prefix="/api/v1/users")


class NewUserBody(msgspec.Struct, forbid_unknown_fields=True):
    """An account to be made."""

    username: str
    password: str
    role: str = "viewer"


class UserChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be another way; what is left out stays."""

    role: str | None = None
    disabled: bool | None = None
    password: str | None = None


@blueprint.get("")
@require("user:read")
@describe(query=PAGE)
def list_users() -> Response:
    """List accounts in the order of their ids."""
    page = read_page()
    rows = people().accounts.list_users(after=page.after, limit=page.limit)
    return json_response(page.body([describe_user(row) for row in rows]))


@blueprint.post("")
@require("user:change")
@describe(body=NewUserBody, status=201)
def create_user() -> Response:
    """Make an account."""
    body = read_json(NewUserBody)
    row = people().accounts.create_user(body.username, body.password, body.role, current_actor())
    return json_response({"data": describe_user(row)}, 201)


@blueprint.get("/<int:user_id>")
@require("user:read")
@describe()
def read_user(user_id: int) -> Response:
    """Show one account."""
    return json_response({"data": describe_user(people().accounts.read_user(user_id))})


@blueprint.patch("/<int:user_id>")
@require("user:change")
@describe(body=UserChangeBody)
def change_user(user_id: int) -> Response:
    """Change role, password, or whether the account is disabled; its sessions and tokens end."""
    body = read_json(UserChangeBody)
    if body == UserChangeBody():
        raise InvalidInput("nothing to change: give role, disabled or password")
    row = people().accounts.change_user(
        user_id,
        current_actor(),
        role=body.role,
        disabled=body.disabled,
        password=body.password,
    )
    return json_response({"data": describe_user(row)})


@blueprint.delete("/<int:user_id>")
@require("user:change")
@describe(status=204, answer="")
def delete_user(user_id: int) -> Response:
    """Delete an account with its sessions and tokens."""
    people().accounts.delete_user(user_id, current_actor())
    return Response(status=204)


def describe_user(row: UserRow) -> dict[str, object]:
    """Return an account as the API shows it."""
    return {
        "id": row.id,
        "username": row.name,
        "role": row.role,
        "disabled": row.disabled,
        "created_at": row.created_at.isoformat(),
    }
