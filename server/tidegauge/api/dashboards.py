"""`/api/v1/dashboards` and `/api/v1/panels`. Source: SPEC §6."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from tidegauge.api.dashboard_answers import (
    answer_dashboard,
    answer_panel,
    describe_row,
    read_after,
    write_after,
)
from tidegauge.api.schemas.dashboards import (
    DashboardBody,
    ImportBody,
    PanelBody,
    read_inputs,
)
from tidegauge.api.schemas.loading import InvalidBody, load, read_value
from tidegauge.dashboards.access import Sender
from tidegauge.dashboards.errors import VersionMissing
from tidegauge.dashboards.panels import PanelId
from tidegauge.dashboards.service import Expected
from tidegauge.dashboards.validation import MAX_TITLE_CHARS
from tidegauge.errors import InvalidInput
from tidegauge.storage.dashboard_rows import DashboardFilter
from tidegauge.web.access import require
from tidegauge.web.context import dashboards, services
from tidegauge.web.errors import json_response
from tidegauge.web.identity import current_actor, current_principal
from tidegauge.web.openapi import NUMBER, TEXT, TEXTS, describe
from tidegauge.web.params import InvalidParameter, Params, read_params

BODY_SETTING = "TIDEGAUGE_DASHBOARD_MAX_BYTES"
WRAPPING_BYTES = 64 * 1024
"""So much may what is around a dashboard add to its size."""
DEFAULT_LISTED = 100
MAX_LISTED = 1000
MAX_SEARCH_CHARS = 200
MAX_OWNER = 2**31 - 1
MAX_AFTER_CHARS = 20 + MAX_TITLE_CHARS

_SEARCH = {
    "search": TEXT,
    "tag": TEXTS,
    "folder": TEXT,
    "owner": NUMBER,
    "uid": TEXT,
    "after": TEXT,
    "limit": NUMBER,
}

blueprint = Blueprint("dashboards", __name__, url_prefix="/api/v1")


def sender_at_hand() -> Sender:
    """Return who sends the current request."""
    return Sender(current_principal(), current_actor())


@blueprint.get("/dashboards")
@require("dashboard:read")
@describe(query=_SEARCH)
def list_dashboards() -> Response:
    """List dashboards by title."""
    params = read_params()
    limit = params.count("limit", default=DEFAULT_LISTED, high=MAX_LISTED) or DEFAULT_LISTED
    wanted = DashboardFilter(
        search=_text(params, "search"),
        tags=[tag for tag in params.all("tag") if "\0" not in tag],
        folder=_text(params, "folder") if params.all("folder") else None,
        owner_id=params.count("owner", high=MAX_OWNER) or None,
        uid=_text(params, "uid"),
        after=read_after(_text(params, "after", most=MAX_AFTER_CHARS)),
        limit=limit,
    )
    rows = dashboards().dashboards.search(sender_at_hand(), wanted)
    following = write_after(rows[-1]) if len(rows) == limit else None
    return json_response({"data": [describe_row(row) for row in rows], "next": following})


@blueprint.post("/dashboards")
@require("dashboard:create")
@describe(body=DashboardBody, status=201)
def create_dashboard() -> Response:
    """Make a dashboard."""
    fields = load(DashboardBody(), _read())
    _number_panels(fields, None)
    made = dashboards().dashboards.create(sender_at_hand(), fields)
    return answer_dashboard(made, 201)


@blueprint.get("/dashboards/<int:dashboard_id>")
@require("dashboard:read")
@describe()
def read_dashboard(dashboard_id: int) -> Response:
    """Show a dashboard as it is at this moment."""
    found = dashboards().dashboards.read(sender_at_hand(), dashboard_id)
    if request.if_none_match.contains_weak(str(found.row.version)):
        return Response(status=304, headers={"ETag": f'"{found.row.version}"'})
    return answer_dashboard(found)


@blueprint.put("/dashboards/<int:dashboard_id>")
@require("dashboard:update:own")
@describe(body=DashboardBody)
def update_dashboard(dashboard_id: int) -> Response:
    """Change a dashboard; what is left out stays."""
    fields = load(DashboardBody(), _read(), partial=True)
    expected = read_expected(fields)
    if expected is None and not request.if_match.star_tag:
        raise VersionMissing
    _number_panels(fields, dashboard_id)
    changed = dashboards().dashboards.update(sender_at_hand(), dashboard_id, fields, expected)
    return answer_dashboard(changed)


@blueprint.delete("/dashboards/<int:dashboard_id>")
@require("dashboard:delete:own")
@describe(status=204, answer="")
def delete_dashboard(dashboard_id: int) -> Response:
    """Delete a dashboard with all its versions."""
    dashboards().dashboards.delete(sender_at_hand(), dashboard_id, read_expected({}))
    return Response(status=204)


@blueprint.post("/dashboards/import")
@require("dashboard:create")
@describe(body=ImportBody, status=201)
def import_grafana() -> Response:
    """Take in a Grafana dashboard."""
    sent = _read()
    wrapped = isinstance(sent, dict) and "dashboard" in sent
    said = load(ImportBody(), sent if wrapped else {"dashboard": sent})
    inputs = read_inputs(said.pop("inputs", None))
    if inputs is None:
        raise InvalidBody("inputs: texts by name are wanted, or a list of {name, value}")
    taken = dashboards().dashboards.take(
        sender_at_hand(),
        said.pop("dashboard"),
        inputs=inputs,
        overwrite=said.pop("overwrite", False),
        fields=said,
    )
    return answer_dashboard(taken.dashboard, 201 if taken.is_new else 200, warnings=taken.warnings)


@blueprint.get("/dashboards/<int:dashboard_id>/grafana")
@require("dashboard:read")
@describe()
def export_grafana(dashboard_id: int) -> Response:
    """Give a dashboard as Grafana loads it."""
    found = dashboards().dashboards.read(sender_at_hand(), dashboard_id)
    response = json_response({**found.document, "version": found.row.version})
    response.headers["ETag"] = f'"{found.row.version}"'
    return response


@blueprint.post("/dashboards/<int:dashboard_id>/panels")
@require("dashboard:update:own")
@describe(body=PanelBody, status=201)
def add_panel(dashboard_id: int) -> Response:
    """Put a new panel on a dashboard."""
    fields = load(PanelBody(), _read())
    made, panel_id = dashboards().panels.add(
        sender_at_hand(), dashboard_id, fields, read_expected(fields)
    )
    return answer_panel(made, panel_id, 201)


@blueprint.get("/panels/<panel_id>")
@require("dashboard:read")
@describe()
def read_panel(panel_id: str) -> Response:
    """Show a panel."""
    wanted = PanelId.parse(panel_id)
    found = dashboards().dashboards.read(sender_at_hand(), wanted.dashboard_id)
    return answer_panel(found, wanted)


@blueprint.put("/panels/<panel_id>")
@require("dashboard:update:own")
@describe(body=PanelBody)
def update_panel(panel_id: str) -> Response:
    """Change a panel; what is left out stays."""
    wanted = PanelId.parse(panel_id)
    fields = load(PanelBody(), _read(), partial=True)
    changed = dashboards().panels.update(sender_at_hand(), wanted, fields, read_expected(fields))
    return answer_panel(changed, wanted)


@blueprint.delete("/panels/<panel_id>")
@require("dashboard:update:own")
@describe(status=204, answer="")
def delete_panel(panel_id: str) -> Response:
    """Take a panel away."""
    dashboards().panels.delete(sender_at_hand(), PanelId.parse(panel_id), read_expected({}))
    return Response(status=204)


def read_expected(fields: dict[str, Any]) -> Expected | None:
    """Return the version that a change was made to, from If-Match or the body; None: any.

    Args:
        fields: the body; its `version` is taken out.
    Raises:
        InvalidInput: If-Match is none of our ETags, or says another version than the body.
    """
    said: int | None = fields.pop("version", None)
    tags = request.if_match.as_set(include_weak=True)
    if not tags:
        return None if said is None else Expected(said)
    tag = next(iter(tags)).removeprefix("W/").strip('"')
    if len(tags) > 1 or not (tag.isascii() and tag.isdigit() and len(tag) <= 10):
        raise InvalidInput("If-Match: one ETag of ours is wanted, which is a version in quotes")
    if said is not None and said != int(tag):
        raise InvalidInput(f'If-Match says version {tag}, "version" in the body {said}')
    return Expected(int(tag), is_header=True)


def _read() -> Any:
    return read_value(services().config.dashboards.max_bytes + WRAPPING_BYTES, setting=BODY_SETTING)


def _number_panels(fields: dict[str, Any], dashboard_id: int | None) -> None:
    """Turn the ids of panels into their numbers on this dashboard."""
    for place, panel in enumerate(fields.get("panels", ())):
        if "id" not in panel:
            continue
        wanted = PanelId.parse(panel["id"])
        if wanted.dashboard_id != dashboard_id:
            raise InvalidBody(f"panels[{place}].id: {wanted} is no panel of this dashboard")
        panel["id"] = wanted.number


def _text(params: Params, name: str, *, most: int = MAX_SEARCH_CHARS) -> str:
    text = params.first(name)
    if len(text) > most or "\0" in text:
        raise InvalidParameter(name, f"at most {most} characters, none of them NUL")
    return text
