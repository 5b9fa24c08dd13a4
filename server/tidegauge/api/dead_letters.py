"""`/api/v1/admin/dead-letters`: messages that could not be stored. Source: SPEC §2."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from tidegauge.errors import InvalidInput, NotFound
from tidegauge.ingest import dead_letters
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.changes import record_change
from tidegauge.web.context import services
from tidegauge.web.errors import json_response
from tidegauge.web.openapi import NUMBER, describe
from tidegauge.web.params import read_params

DEFAULT_LISTED = 100
MAX_LISTED = 10_000

blueprint = Blueprint("dead_letters", __name__, url_prefix="/api/v1/admin/dead-letters")


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """Which dead letters: those with these ids, or all there are now."""

    ids: list[str] = []
    all: bool = False


@blueprint.get("")
@require("dead-letters:read")
@describe(query={"limit": NUMBER})
def list_dead_letters() -> Response:
    """List the oldest dead letters."""
    limit = read_params().count("limit", default=DEFAULT_LISTED, high=MAX_LISTED)
    letters = services().queue.dead_letters
    found = letters.read_oldest(limit=limit or DEFAULT_LISTED)
    return json_response(
        {"data": [dead_letters.summarise(one) for one in found], "total": letters.count()}
    )


@blueprint.get("/<message_id>")
@require("dead-letters:read")
def show_dead_letter(message_id: str) -> Response:
    """Show one dead letter and what is in it."""
    letter = services().queue.dead_letters.find(dead_letters.parse_message_id(message_id))
    if letter is None:
        raise NotFound(f"there is no dead letter {message_id}")
    return json_response({"data": dead_letters.describe(letter)})


@blueprint.post("/replay")
@require("dead-letters:change")
@describe(body=Choice)
def replay_dead_letters() -> Response:
    """Send dead letters again."""
    ids = _read_choice("dead-letters.replay")
    return json_response({"replayed": services().queue.dead_letters.replay(ids)})


@blueprint.post("/purge")
@require("dead-letters:change")
@describe(body=Choice)
def purge_dead_letters() -> Response:
    """Throw dead letters away."""
    ids = _read_choice("dead-letters.purge")
    return json_response({"purged": services().queue.dead_letters.purge(ids)})


def _read_choice(action: str) -> list[bytes] | None:
    """Return the ids that were sent, None for all; what is to be done with them is recorded."""
    choice = read_json(Choice)
    if choice.all == bool(choice.ids):
        raise InvalidInput('name the ids of dead letters in "ids", or say "all": true')
    parsed = [dead_letters.parse_message_id(text) for text in choice.ids]
    ids = None if choice.all else parsed
    # Before it is done: what was thrown away with no record of it could not be told any more.
    record_change(action, details=dead_letters.tell_choice(ids))
    return ids
