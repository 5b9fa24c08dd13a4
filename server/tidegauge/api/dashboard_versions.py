"""`/api/v1/dashboards/<id>/versions`: saved versions. Source: SPEC §6."""

from __future__ import annotations

from flask import Blueprint, Response

from tidegauge.api.dashboard_answers import answer_dashboard, write_time
from tidegauge.api.dashboards import read_expected, sender_at_hand
from tidegauge.api.schemas.dashboards import MAX_VERSION, RestoreBody
from tidegauge.api.schemas.loading import load, read_value
from tidegauge.dashboards.grafana_diff import MAX_CHANGES, Change
from tidegauge.storage.dashboard_rows import VersionRow
from tidegauge.web.access import require
from tidegauge.web.bodies import MAX_JSON_BYTES
from tidegauge.web.context import dashboards
from tidegauge.web.errors import json_response
from tidegauge.web.openapi import NUMBER, describe
from tidegauge.web.params import InvalidParameter, read_params

DEFAULT_LISTED = 100
MAX_LISTED = 1000

blueprint = Blueprint(
    "dashboard_versions", __name__, url_prefix="/api/v1/dashboards/<int:dashboard_id>"
)


@blueprint.get("/versions")
@require("dashboard:read")
@describe(query={"before": NUMBER, "limit": NUMBER})
def list_versions(dashboard_id: int) -> Response:
    """List the versions, newest first."""
    params = read_params()
    limit = params.count("limit", default=DEFAULT_LISTED, high=MAX_LISTED) or DEFAULT_LISTED
    rows = dashboards().history.versions(
        sender_at_hand(),
        dashboard_id,
        before=params.count("before", high=MAX_VERSION) or None,
        limit=limit,
    )
    following = rows[-1].version if len(rows) == limit else None
    return json_response({"data": [_describe(row) for row in rows], "next": following})


@blueprint.get("/versions/<int:version>")
@require("dashboard:read")
@describe()
def read_version(dashboard_id: int, version: int) -> Response:
    """Show one version, as Grafana's JSON."""
    row, document = dashboards().history.read(sender_at_hand(), dashboard_id, version)
    return json_response({"data": {**_describe(row), "dashboard": document}})


@blueprint.get("/versions/diff")
@require("dashboard:read")
@describe(query={"from": NUMBER, "to": NUMBER})
def diff_versions(dashboard_id: int) -> Response:
    """Compare two versions."""
    params = read_params()
    old, new = (params.count(name, high=MAX_VERSION) for name in ("from", "to"))
    for name, version in (("from", old), ("to", new)):
        if not version:
            raise InvalidParameter(name, "the number of a version is wanted")
    changes = dashboards().history.diff(sender_at_hand(), dashboard_id, old=old, new=new)
    data = [_describe_change(one) for one in changes]
    return json_response({"data": data, "truncated": len(changes) == MAX_CHANGES})


@blueprint.post("/restore")
@require("dashboard:update:own")
@describe(body=RestoreBody)
def restore_version(dashboard_id: int) -> Response:
    """Store an earlier version anew, as the next one."""
    said = load(RestoreBody(), read_value(MAX_JSON_BYTES))
    restored = dashboards().history.restore(
        sender_at_hand(),
        dashboard_id,
        said["version"],
        read_expected({}),
        said.get("message", ""),
    )
    return answer_dashboard(restored)


@blueprint.get("/drift")
@require("dashboard:read")
@describe()
def read_drift(dashboard_id: int) -> Response:
    """Tell how a dashboard differs from the file that it was loaded from."""
    drift = dashboards().provisioning.read_drift(sender_at_hand(), dashboard_id)
    return json_response(
        {
            "data": {
                "file": drift.file.path,
                "loaded_at": write_time(drift.file.loaded_ms),
                "changes": [_describe_change(one) for one in drift.changes],
                "conflicts": list(drift.file.conflicts),
            }
        }
    )


def _describe_change(change: Change) -> dict[str, object]:
    return {"path": change.path, "old": change.old, "new": change.new}


def _describe(row: VersionRow) -> dict[str, object]:
    return {
        "version": row.version,
        "author_id": row.author_id,
        "author": row.author,
        "message": row.message,
        "created_at": write_time(row.created_ms),
    }
