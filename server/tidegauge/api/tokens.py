"""`/api/v1/tokens`: API tokens, for admins. Source: SPEC §8."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from flask import Blueprint, Response

from tidegauge.errors import InvalidInput
from tidegauge.storage.accounts_rows import TokenRow
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import people
from tidegauge.web.errors import json_response
from tidegauge.web.identity import current_actor, current_principal
from tidegauge.web.openapi import describe
from tidegauge.web.pages import PAGE, read_page

blueprint = Blueprint("tokens", __name__, url_prefix="/api/v1/tokens")


class NewTokenBody(msgspec.Struct, forbid_unknown_fields=True):
    """A token to be made.

    Args:
        name: what it is for.
        scopes: what it may do, at most what its account may.
        user_id: the account it acts for; one's own by default.
        expires_in_days: how long it holds; None: until it is revoked.
    """

    name: str
    scopes: list[str]
    user_id: int | None = None
    expires_in_days: int | None = None


@blueprint.get("")
@require("token:read")
@describe(query=PAGE)
def list_tokens() -> Response:
    """List tokens in the order of their ids, without their secrets."""
    page = read_page()
    rows = people().accounts.list_tokens(after=page.after, limit=page.limit)
    return json_response(page.body([describe_token(row) for row in rows]))


@blueprint.post("")
@require("token:change")
@describe(body=NewTokenBody, status=201)
def create_token() -> Response:
    """Make a token; its secret is in this answer and nowhere else."""
    body = read_json(NewTokenBody)
    user_id = body.user_id if body.user_id is not None else current_principal().user_id
    if user_id is None:
        raise InvalidInput("user_id: name the account that the token acts for")
    made = people().accounts.create_token(
        body.name, user_id, body.scopes, body.expires_in_days, current_actor()
    )
    return json_response({"data": {**describe_token(made.row), "token": made.secret}}, 201)


@blueprint.delete("/<int:token_id>")
@require("token:change")
@describe(status=204, answer="")
def revoke_token(token_id: int) -> Response:
    """End a token for good."""
    people().accounts.revoke_token(token_id, current_actor())
    return Response(status=204)


def describe_token(row: TokenRow) -> dict[str, object]:
    """Return a token as the API shows it."""
    scopes: Sequence[str] = row.scopes
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "user_id": row.user_id,
        "username": row.user_name,
        "scopes": list(scopes),
        "created_at": row.created_at.isoformat(),
        "expires_at": _show(row.expires_at),
        "revoked_at": _show(row.revoked_at),
    }


def _show(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
