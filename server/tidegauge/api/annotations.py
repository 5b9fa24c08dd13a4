"""`/api/v1/annotations`: marks on the time axis. Source: SPEC §5, issue 4."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from tidegauge.annotations.service import MAX_PAGE
from tidegauge.errors import InvalidInput
from tidegauge.model.annotations import Annotation, AnnotationQuery
from tidegauge.query.times import parse_native_time_ms
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import services
from tidegauge.web.errors import created_response, json_response
from tidegauge.web.identity import current_actor, current_principal
from tidegauge.web.openapi import NUMBER, TEXT, TEXTS, describe
from tidegauge.web.params import InvalidParameter, Params, read_params

DEFAULT_PAGE = 100
MAX_DELETED = 100

blueprint = Blueprint("annotations", __name__, url_prefix="/api/v1/annotations")


class AnnotationBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a new annotation.

    Args:
        text, title: what people read; one of them is wanted.
        time, time_end: Unix ms, RFC 3339, or `now-5m`; missing: now, and a moment.
        tags: what it is about.
        dashboard_id, panel_id: where it is shown; missing: on all.
    """

    text: str = ""
    title: str = ""
    time: str | int | float | None = None
    time_end: str | int | float | None = None
    tags: list[str] = msgspec.field(default_factory=list)
    dashboard_id: int | None = None
    panel_id: int | None = None


@blueprint.get("")
@require("annotation:read")
@describe(
    query={
        "start": TEXT,
        "end": TEXT,
        "tag": TEXTS,
        "match": {"enum": ["all", "any"]},
        "dashboard_id": NUMBER,
        "panel_id": NUMBER,
        "limit": NUMBER,
        "after": TEXT,
    }
)
def list_annotations() -> Response:
    """List annotations, newest first."""
    params = read_params()
    asked = AnnotationQuery(
        limit=params.count("limit", default=DEFAULT_PAGE, high=MAX_PAGE) or DEFAULT_PAGE,
        start_ms=_read_time_ms("start", params.first("start")),
        end_ms=_read_time_ms("end", params.first("end")),
        tags=tuple(dict.fromkeys(params.all("tag"))),
        any_tag=_read_match(params) == "any",
        dashboard_id=params.count("dashboard_id") or None,
        panel_id=params.count("panel_id") or None,
        before=_read_place(params.first("after")),
    )
    found, more = services().annotations.read_page(asked, current_principal())
    following = "{}.{}".format(*found[-1].place) if more else None
    return json_response({"data": [show(one) for one in found], "next": following})


@blueprint.post("")
@require("annotation:create")
@describe(body=AnnotationBody, status=201)
def add_annotation() -> Response:
    """Add an annotation."""
    body = read_json(AnnotationBody)
    time_ms = _read_time_ms("time", body.time)
    added = services().annotations.add(
        Annotation(
            time_ms=services().clock_ms() if time_ms is None else time_ms,
            time_end_ms=_read_time_ms("time_end", body.time_end),
            title=body.title,
            text=body.text,
            tags=tuple(body.tags),
            dashboard_id=body.dashboard_id,
            panel_id=body.panel_id,
        ),
        current_principal(),
    )
    return created_response(show(added), f"/api/v1/annotations/{added.id}")


@blueprint.get("/<int:annotation_id>")
@require("annotation:read")
@describe()
def read_annotation(annotation_id: int) -> Response:
    """Show one annotation."""
    return json_response(show(services().annotations.read(annotation_id, current_principal())))


@blueprint.delete("/<int:annotation_id>")
@require("annotation:delete:own")
@describe()
def delete_annotation(annotation_id: int) -> Response:
    """Delete one annotation."""
    services().annotations.delete([annotation_id], current_principal(), current_actor())
    return json_response({"deleted": [annotation_id]})


@blueprint.delete("")
@require("annotation:delete:own")
@describe(query={"id": TEXTS})
def delete_annotations() -> Response:
    """Delete several annotations, all or none."""
    params = read_params()
    texts = params.all("id")
    if not 0 < len(texts) <= MAX_DELETED:
        raise InvalidParameter("id", f"from 1 to {MAX_DELETED} ids are wanted, not {len(texts)}")
    ids = sorted({_read_id("id", text) for text in texts})
    services().annotations.delete(ids, current_principal(), current_actor())
    return json_response({"deleted": ids})


def show(annotation: Annotation) -> dict[str, object]:
    """Return an annotation as the native API shows it; times are Unix ms."""
    return {
        "id": annotation.id,
        "time": annotation.time_ms,
        "time_end": annotation.time_end_ms,
        "title": annotation.title,
        "text": annotation.text,
        "tags": list(annotation.tags),
        "dashboard_id": annotation.dashboard_id,
        "panel_id": annotation.panel_id,
        "owner_id": annotation.owner_id,
        "created_at": annotation.created_ms,
    }


def _read_match(params: Params) -> str:
    match = params.first("match") or "all"
    if match not in ("all", "any"):
        raise InvalidParameter("match", f'"{match[:64]}" is neither all nor any')
    return match


def _read_time_ms(name: str, value: str | float | None) -> int | None:
    if value is None or value == "":
        return None
    try:
        return parse_native_time_ms(value, now_ms=services().clock_ms())
    except InvalidInput as exc:
        raise InvalidParameter(name, exc.message) from exc


def _read_place(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    time_text, _, id_text = text.partition(".")
    return _read_id("after", time_text), _read_id("after", id_text)


def _read_id(name: str, text: str) -> int:
    # int() takes signs, blanks, underscores and other scripts' digits.
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise InvalidParameter(name, f'"{text[:64]}" is no whole number')
    return int(text)
