"""`GET /api/v1/alerts/export`: the rules as one of Prometheus's rule files. Source: SPEC §7."""

from __future__ import annotations

from flask import Blueprint, Response

from tidegauge.alerts.rule_export import export_rules
from tidegauge.web.access import require
from tidegauge.web.context import alerts, services
from tidegauge.web.openapi import TEXT, describe
from tidegauge.web.params import read_params

FILE_TYPE = "application/yaml"

blueprint = Blueprint("rule_files", __name__, url_prefix="/api/v1/alerts")


@blueprint.get("/export")
@require("alert:read")
@describe(query={"file": TEXT}, answer=FILE_TYPE)
def export() -> Response:
    """Write all rules, or those that were loaded from a file, as a rule file."""
    text = export_rules(
        [one.stored.rule for one in alerts().list_all()],
        [one.rule for one in alerts().list_recordings()],
        parser=services().parser,
        file=read_params().first("file") or None,
    )
    return Response(text, mimetype=FILE_TYPE)
