"""`/api/v1/admin/audit`: who changed what, and who signed in. Source: SPEC §8."""

from __future__ import annotations

from flask import Blueprint, Response, request

from tidegauge.storage.accounts_rows import AuditRow
from tidegauge.web.access import require
from tidegauge.web.context import people
from tidegauge.web.errors import json_response
from tidegauge.web.openapi import TEXT, describe
from tidegauge.web.pages import PAGE, read_page

blueprint = Blueprint("audit", __name__, url_prefix="/api/v1/admin/audit")


@blueprint.get("")
@require("audit:read")
@describe(query={**PAGE, "target": TEXT})
def list_audit() -> Response:
    """List entries, newest first; `target` narrows to one thing, `after` turns the page."""
    page = read_page()
    rows = people().audit.read(
        before=page.after or None, target=request.args.get("target", ""), limit=page.limit
    )
    return json_response(page.body([_describe(row) for row in rows]))


def _describe(row: AuditRow) -> dict[str, object]:
    entry = row.entry
    return {
        "id": row.id,
        "at": row.at.isoformat(),
        "actor": entry.actor,
        "actor_name": entry.actor_name,
        "action": entry.action,
        "target": entry.target,
        "details": entry.details,
        "address": entry.address,
        "request_id": entry.request_id,
    }
