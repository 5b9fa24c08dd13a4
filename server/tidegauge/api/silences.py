"""`/api/v1/silences`: alerts of which nobody is told for a while. Source: SPEC §7."""

from __future__ import annotations

from typing import Literal

import msgspec
from flask import Blueprint, Response

from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.silences import Silence
from tidegauge.query.times import parse_native_time_ms
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import services, silences
from tidegauge.web.errors import created_response, json_response
from tidegauge.web.identity import current_actor
from tidegauge.web.openapi import describe
from tidegauge.web.pages import PAGE, read_page

_Time = str | int | float

blueprint = Blueprint("silences", __name__, url_prefix="/api/v1/silences")


class MatcherBody(msgspec.Struct, forbid_unknown_fields=True):
    """A label that must fit: as it is, not, or as a regular expression."""

    name: str
    value: str
    operator: Literal["=", "!=", "=~", "!~"] = "="


class SilenceBody(msgspec.Struct, forbid_unknown_fields=True):
    """A silence.

    Args:
        matchers: labels of the alerts; all must fit.
        ends_at: until when: Unix ms, RFC 3339, or `now+2h`.
        starts_at: from when on.
        comment: why.
    """

    matchers: list[MatcherBody]
    ends_at: _Time
    starts_at: _Time = "now"
    comment: str = ""


@blueprint.get("")
@require("alert:read")
@describe(query=PAGE)
def list_silences() -> Response:
    """List silences in the order of their ids, those that are over too."""
    page = read_page()
    found = silences().list_page(after=page.after, limit=page.limit)
    return json_response(page.body([_describe_silence(one) for one in found]))


@blueprint.post("")
@require("silence:change")
@describe(body=SilenceBody, status=201)
def add_silence() -> Response:
    """Tell nobody of some alerts for a while."""
    body, now_ms = read_json(SilenceBody), services().clock_ms()
    made = silences().add(
        Silence(
            matchers=tuple(
                Matcher(MatchType(one.operator), one.name, one.value) for one in body.matchers
            ),
            starts_ms=parse_native_time_ms(body.starts_at, now_ms=now_ms),
            ends_ms=parse_native_time_ms(body.ends_at, now_ms=now_ms),
            comment=body.comment,
        ),
        current_actor(),
    )
    return created_response({"data": _describe_silence(made)}, f"/api/v1/silences/{made.id}")


@blueprint.get("/<int:silence_id>")
@require("alert:read")
@describe()
def read_silence(silence_id: int) -> Response:
    """Show one silence."""
    return json_response({"data": _describe_silence(silences().read(silence_id))})


@blueprint.delete("/<int:silence_id>")
@require("silence:change")
@describe()
def end_silence(silence_id: int) -> Response:
    """End a silence now; it stays in the list."""
    silences().end(silence_id, current_actor())
    return json_response({"ended": [silence_id]})


def _describe_silence(silence: Silence) -> dict[str, object]:
    now_ms = services().clock_ms()
    over = silence.ends_ms <= now_ms
    return {
        "id": silence.id,
        "matchers": [
            {"name": one.name, "operator": one.type.value, "value": one.value}
            for one in silence.matchers
        ],
        "starts_at": silence.starts_ms,
        "ends_at": silence.ends_ms,
        "comment": silence.comment,
        "created_by": silence.created_by,
        "created_at": silence.created_ms,
        "state": "over" if over else "active" if silence.starts_ms <= now_ms else "pending",
    }
