"""`/api/v1/silences`: alerts of which nobody is told for a while. Source: SPEC §7."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from tidegauge.alerts.muting_preview import Preview
from tidegauge.alerts.silencing import check_matchers
from tidegauge.api.matchers import MatcherBody, describe_matchers, read_matchers
from tidegauge.model.silences import Silence, SilenceState
from tidegauge.query.times import parse_native_time_ms
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import muting_preview, services, silences
from tidegauge.web.errors import created_response, json_response
from tidegauge.web.identity import current_actor
from tidegauge.web.openapi import describe
from tidegauge.web.pages import PAGE, read_page
from tidegauge.web.params import InvalidParameter, read_params

_Time = str | int | float
_STATES = [one.value for one in SilenceState]

blueprint = Blueprint("silences", __name__, url_prefix="/api/v1/silences")


class SilenceBody(msgspec.Struct, forbid_unknown_fields=True):
    """A silence.

    Args:
        matchers: labels of the alerts; all must fit.
        ends_at: until when: Unix ms, RFC 3339, or `now+2h`.
        starts_at: from when on; by default now, or as it was.
        comment: why.
    """

    matchers: list[MatcherBody]
    ends_at: _Time
    starts_at: _Time | None = None
    comment: str = ""


class PreviewBody(msgspec.Struct, forbid_unknown_fields=True):
    """A silence, or what of it says which alerts are meant.

    Args:
        matchers: labels of the alerts; all must fit.
        ends_at, starts_at, comment: change nothing here.
    """

    matchers: list[MatcherBody]
    ends_at: _Time | None = None
    starts_at: _Time | None = None
    comment: str = ""


@blueprint.get("")
@require("alert:read")
@describe(query={**PAGE, "state": {"type": "string", "enum": _STATES}})
def list_silences() -> Response:
    """List silences in the order of their ids, those that are over too."""
    page, wanted = read_page(), read_params().first("state")
    try:
        state = SilenceState(wanted) if wanted else None
    except ValueError as exc:
        raise InvalidParameter("state", f'"{wanted}" is not one of {", ".join(_STATES)}') from exc
    found = silences().list_page(after=page.after, limit=page.limit, state=state)
    return json_response(page.body([_describe_silence(one) for one in found]))


@blueprint.post("")
@require("silence:change")
@describe(body=SilenceBody, status=201)
def add_silence() -> Response:
    """Tell nobody of some alerts for a while."""
    made = silences().add(_read_silence(), current_actor())
    return created_response({"data": _describe_silence(made)}, f"/api/v1/silences/{made.id}")


@blueprint.post("/preview")
@require("alert:read", counted_as="query:read")
@describe(body=PreviewBody)
def preview_silence() -> Response:
    """Say what a silence would mute."""
    matchers = read_matchers(read_json(PreviewBody).matchers)
    check_matchers(matchers)
    return json_response({"data": describe_preview(muting_preview().of_silence(matchers))})


@blueprint.get("/<int:silence_id>")
@require("alert:read")
@describe()
def read_silence(silence_id: int) -> Response:
    """Show one silence."""
    return json_response({"data": _describe_silence(silences().read(silence_id))})


@blueprint.put("/<int:silence_id>")
@require("silence:change")
@describe(body=SilenceBody)
def change_silence(silence_id: int) -> Response:
    """Extend or change a silence that is not over."""
    silence = _read_silence(silences().read(silence_id).starts_ms)
    changed = silences().change(silence_id, silence, current_actor())
    return json_response({"data": _describe_silence(changed)})


@blueprint.delete("/<int:silence_id>")
@require("silence:change")
@describe()
def end_silence(silence_id: int) -> Response:
    """End a silence now; it stays in the list."""
    silences().end(silence_id, current_actor())
    return json_response({"ended": [silence_id]})


def describe_preview(preview: Preview) -> dict[str, object]:
    """Return what would be muted, as an answer shows it."""
    return {
        "alerts": [
            {
                "rule_id": one.rule_id,
                "rule": one.rule_name,
                "labels": dict(one.labels),
                "state": one.state.value,
            }
            for one in preview.shown
        ],
        "alerts_in_all": preview.standing,
        "last_7_days": {
            "fired": preview.fired,
            "muted": preview.muted,
            "complete": preview.complete,
        },
    }


def _read_silence(starts_ms: int | None = None) -> Silence:
    body, now_ms = read_json(SilenceBody), services().clock_ms()
    if body.starts_at is not None:
        starts_ms = parse_native_time_ms(body.starts_at, now_ms=now_ms)
    return Silence(
        matchers=read_matchers(body.matchers),
        starts_ms=now_ms if starts_ms is None else starts_ms,
        ends_ms=parse_native_time_ms(body.ends_at, now_ms=now_ms),
        comment=body.comment,
    )


def _describe_silence(silence: Silence) -> dict[str, object]:
    return {
        "id": silence.id,
        "matchers": describe_matchers(silence.matchers),
        "starts_at": silence.starts_ms,
        "ends_at": silence.ends_ms,
        "comment": silence.comment,
        "created_by": silence.created_by,
        "created_at": silence.created_ms,
        "state": silence.state(services().clock_ms()).value,
    }
