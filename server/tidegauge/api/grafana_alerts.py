"""`POST /api/v1/alerts/grafana`: Grafana's own alerts come back as marks. Issue 4."""

from __future__ import annotations

from flask import Blueprint, Response

from tidegauge.annotations.grafana_alerts import GrafanaWebhook
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import services
from tidegauge.web.errors import json_response
from tidegauge.web.identity import current_principal
from tidegauge.web.openapi import describe

blueprint = Blueprint("grafana_alerts", __name__, url_prefix="/api/v1/alerts")


@blueprint.post("/grafana")
@require("annotation:create")
@describe(body=GrafanaWebhook)
def take_grafana_alerts() -> Response:
    """Keep what Grafana's webhook contact point tells, each alert once."""
    kept = services().annotations.keep_grafana_alerts(
        read_json(GrafanaWebhook).alerts, current_principal()
    )
    return json_response({"data": {"kept": kept}})
