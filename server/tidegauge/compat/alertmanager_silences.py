"""Alertmanager's silences: the same ones as `/api/v1/silences`, in its form.

Source: Alertmanager `api/v2/openapi.yaml`, `silence/silence.go` (Set).
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
from flask import Blueprint, Response

from tidegauge.compat.alertmanager_json import (
    make_matcher,
    read_time_ms,
    shape_silence,
)
from tidegauge.compat.alertmanager_params import read_flag, read_matchers
from tidegauge.errors import InvalidInput, NotFound
from tidegauge.model.silences import Silence, SilenceState
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import services, silences
from tidegauge.web.errors import json_response
from tidegauge.web.identity import current_actor
from tidegauge.web.openapi import FLAG, TEXTS, describe
from tidegauge.web.params import read_params

MAX_ID_DIGITS = 10

blueprint = Blueprint("alertmanager_silences", __name__, url_prefix="/alertmanager/api/v2")


class PostableMatcher(msgspec.Struct, rename="camel"):
    """A label that must fit: as it is, not, or as a regular expression."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class PostableSilence(msgspec.Struct, rename="camel"):
    """A silence as amtool and Grafana send it.

    Args:
        matchers: labels of the alerts; all must fit.
        starts_at, ends_at: RFC 3339.
        created_by, comment: whose, and why.
        id: of the one in whose place it comes; "": none.
    """

    matchers: list[PostableMatcher]
    starts_at: str
    ends_at: str
    created_by: str
    comment: str
    id: str | None = None


@blueprint.get("/silences")
@require("alert:read")
@describe(query={"filter": TEXTS, "active": FLAG, "pending": FLAG, "expired": FLAG})
def list_silences() -> Response:
    """List silences: those that are at work, to come, and over for less than five days."""
    params, now_ms = read_params(), services().clock_ms()
    wanted = read_matchers(params, "filter")
    with_state = {name: read_flag(params, name) for name in ("active", "pending", "expired")}
    found = [
        one
        for one in silences().list_recent()
        if with_state[one.state(now_ms).value] and set(wanted) <= set(one.matchers)
    ]
    found.sort(key=lambda one: _order(one, now_ms))
    return json_response([shape_silence(one, now_ms) for one in found])


@blueprint.post("/silences")
@require("silence:change")
@describe(body=PostableSilence)
def post_silence() -> Response:
    """Tell nobody of some alerts for a while, or put a silence in the place of another."""
    body, now_ms = read_json(PostableSilence), services().clock_ms()
    ends_ms = read_time_ms("endsAt", body.ends_at)
    if ends_ms is None:
        raise InvalidInput("endsAt: it is missing")
    silence = Silence(
        matchers=tuple(
            make_matcher(one.name, one.value, is_regex=one.is_regex, is_equal=one.is_equal)
            for one in body.matchers
        ),
        starts_ms=read_time_ms("startsAt", body.starts_at) or now_ms,
        ends_ms=ends_ms,
        comment=body.comment,
        created_by=body.created_by,
    )
    standing = silences().read(_read_id(body.id)) if body.id else None
    if standing is not None and _may_change(standing, silence, now_ms):
        made = silences().change(standing.id, silence, current_actor())
    else:
        made = silences().add(_begin_now(silence, now_ms), current_actor())
        if standing is not None:
            silences().end(standing.id, current_actor())
    return json_response({"silenceID": str(made.id)})


@blueprint.get("/silence/<silence_id>")
@require("alert:read")
@describe()
def read_silence(silence_id: str) -> Response:
    """Show one silence."""
    found = silences().read(_read_id(silence_id))
    return json_response(shape_silence(found, services().clock_ms()))


@blueprint.delete("/silence/<silence_id>")
@require("silence:change")
@describe(answer="")
def end_silence(silence_id: str) -> Response:
    """End a silence now; it stays in the list."""
    silences().end(_read_id(silence_id), current_actor())
    return Response(status=200, mimetype="application/json")


def _read_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS):
        raise NotFound(f"there is no silence {text[:64]}")
    return int(text)


def _may_change(standing: Silence, wanted: Silence, now_ms: int) -> bool:
    """Return whether a silence can become another; else it ends, for its history to stay true."""
    if standing.matchers != wanted.matchers:
        return False
    match standing.state(now_ms):
        case SilenceState.ACTIVE:
            return standing.starts_ms // 1000 == wanted.starts_ms // 1000
        case SilenceState.PENDING:
            return wanted.starts_ms >= now_ms
        case SilenceState.EXPIRED:
            return False


def _begin_now(silence: Silence, now_ms: int) -> Silence:
    return replace(silence, starts_ms=max(silence.starts_ms, now_ms))


def _order(silence: Silence, now_ms: int) -> tuple[int, int]:
    """Return what silences are sorted by: what is at work and ends first comes first."""
    match silence.state(now_ms):
        case SilenceState.ACTIVE:
            return 0, silence.ends_ms
        case SilenceState.PENDING:
            return 1, silence.starts_ms
        case SilenceState.EXPIRED:
            return 2, -silence.ends_ms
