"""`/api/v1/folders`: folders of dashboards. Source: SPEC §6, issue 4."""

from __future__ import annotations

from flask import Blueprint, Response

from tidegauge.api.dashboards import sender_at_hand
from tidegauge.api.schemas.dashboards import FolderBody
from tidegauge.api.schemas.loading import load, read_value
from tidegauge.storage.dashboard_rows import FolderRow
from tidegauge.web.access import require
from tidegauge.web.bodies import MAX_JSON_BYTES
from tidegauge.web.context import dashboards
from tidegauge.web.errors import json_response
from tidegauge.web.openapi import describe

blueprint = Blueprint("folders", __name__, url_prefix="/api/v1/folders")


@blueprint.get("")
@require("dashboard:read")
@describe()
def list_folders() -> Response:
    """List all folders by title."""
    return json_response({"data": [_describe(row) for row in dashboards().folders.read_all()]})


@blueprint.post("")
@require("folder:change")
@describe(body=FolderBody, status=201)
def create_folder() -> Response:
    """Make a folder."""
    said = load(FolderBody(), read_value(MAX_JSON_BYTES))
    made = dashboards().folders.create(
        sender_at_hand(),
        uid=said.get("uid"),
        title=said["title"],
        parent=said.get("parent") or None,
    )
    return json_response({"data": _describe(made)}, 201)


@blueprint.put("/<uid>")
@require("folder:change")
@describe(body=FolderBody)
def update_folder(uid: str) -> Response:
    """Give a folder another title or place; what is left out stays."""
    said = load(FolderBody(exclude=("uid",)), read_value(MAX_JSON_BYTES), partial=True)
    changed = dashboards().folders.update(
        sender_at_hand(),
        uid,
        title=said.get("title"),
        parent=said.get("parent") or None,
        move="parent" in said,
    )
    return json_response({"data": _describe(changed)})


@blueprint.delete("/<uid>")
@require("folder:change")
@describe(status=204, answer="")
def delete_folder(uid: str) -> Response:
    """Delete a folder that is empty."""
    dashboards().folders.delete(sender_at_hand(), uid)
    return Response(status=204)


def _describe(row: FolderRow) -> dict[str, object]:
    return {"uid": row.uid, "title": row.title, "parent": row.parent}
