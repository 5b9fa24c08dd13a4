"""Dashboards as the API answers with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Response

from tidegauge.dashboards.dashboard_view import view_dashboard
from tidegauge.dashboards.panels import PanelId
from tidegauge.dashboards.reads import Dashboard
from tidegauge.errors import NotFound
from tidegauge.storage.dashboard_rows import DashboardRow
from tidegauge.web.errors import json_response
from tidegauge.web.params import InvalidParameter

Body = dict[str, Any]


def answer_dashboard(
    dashboard: Dashboard, status: int = 200, *, warnings: Sequence[str] | None = None
) -> Response:
    """Return a dashboard, with its version as ETag.

    Args:
        warnings: of an import.
    """
    row = dashboard.row
    shown = view_dashboard(dashboard.document)
    shown["panels"] = [_name_panel(row.id, panel) for panel in shown["panels"]]
    data = {**describe_row(row), **shown}
    body: Body = {"data": data} if warnings is None else {"data": data, "warnings": [*warnings]}
    response = json_response(body, status)
    response.headers["ETag"] = f'"{row.version}"'
    if status == 201:
        response.headers["Location"] = f"/api/v1/dashboards/{row.id}"
    return response


def answer_panel(dashboard: Dashboard, panel_id: PanelId, status: int = 200) -> Response:
    """Return one panel, with the version of its dashboard as ETag.

    Raises:
        NotFound: there is none.
    """
    panels = view_dashboard(dashboard.document)["panels"]
    panel = next((one for one in panels if one["id"] == panel_id.number), None)
    if panel is None:
        raise NotFound(f"there is no panel {panel_id}")
    row = dashboard.row
    data = {**_name_panel(row.id, panel), "dashboard_id": row.id, "version": row.version}
    response = json_response({"data": data}, status)
    response.headers["ETag"] = f'"{row.version}"'
    if status == 201:
        response.headers["Location"] = f"/api/v1/panels/{panel_id}"
    return response


def describe_row(row: DashboardRow) -> Body:
    """Return a dashboard as a list shows it."""
    return {
        "id": row.id,
        "uid": row.uid,
        "title": row.title,
        "description": row.description,
        "tags": list(row.tags),
        "folder": row.folder,
        "public": row.is_public,
        "owner_id": row.owner_id,
        "owner": row.owner,
        "version": row.version,
        "created_at": write_time(row.created_ms),
        "changed_at": write_time(row.changed_ms),
    }


def write_time(time_ms: int) -> str:
    """Return Unix ms as RFC 3339."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


def write_after(row: DashboardRow) -> str:
    """Return what to ask for the page behind this row with."""
    # Lower case is the database's business: it and Python differ in what it is.
    return f"{row.id}:{row.title}"


def read_after(text: str) -> tuple[str, int] | None:
    """Return the place that `after` names; None where there is none.

    Raises:
        InvalidParameter: it is none of ours.
    """
    if not text:
        return None
    number, _, title = text.partition(":")
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise InvalidParameter("after", "what an answer has as `next` is wanted")
    return title, int(number)


def _name_panel(dashboard_id: int, panel: Body) -> Body:
    row = panel["row"]
    return {
        **panel,
        "id": str(PanelId(dashboard_id, panel["id"])),
        "row": None if row is None else str(PanelId(dashboard_id, row)),
    }
