"""`/api/v1/alerts/<id>/notifications`: who was told of a rule's alerts, and what came of it.

Source: SPEC §7.
"""

from __future__ import annotations

from flask import Blueprint, Response

from tidegauge.alerts.notifiers.channels import hide_secrets
from tidegauge.storage.outbox import LoggedNotification
from tidegauge.web.access import require
from tidegauge.web.context import alerts, outbox
from tidegauge.web.errors import json_response
from tidegauge.web.openapi import NUMBER, describe
from tidegauge.web.params import read_params

DEFAULT_ROWS = 100
MOST_ROWS = 1000

blueprint = Blueprint("alert_notifications", __name__, url_prefix="/api/v1/alerts")


@blueprint.get("/<int:rule_id>/notifications")
@require("alert:read")
@describe(query={"before": NUMBER, "limit": NUMBER})
def read_notifications(rule_id: int) -> Response:
    """List who was told of a rule's alerts, newest first."""
    params = read_params()
    limit = params.count("limit", default=DEFAULT_ROWS, high=MOST_ROWS) or DEFAULT_ROWS
    before = params.count("before", high=2**63 - 1) or None
    alerts().read(rule_id)
    rows = outbox().read_log(rule_id, before=before, limit=limit)
    following = rows[-1].id if len(rows) == limit else None
    return json_response({"data": [_describe(one) for one in rows], "next": following})


def _describe(row: LoggedNotification) -> dict[str, object]:
    return {
        "id": row.id,
        "event_id": row.event_id,
        "status": row.payload.get("status"),
        "labels": row.payload.get("labels"),
        # A target may hold a password, or be one.
        "channel": hide_secrets(row.channel),
        "receiver": row.receiver,
        "group_key": row.group_key,
        "state": row.state,
        "attempts": row.attempts,
        "answer": row.last_answer,
        "idempotency_key": row.idempotency_key,
        "created_at": row.created_ms,
        "next_attempt_at": row.next_attempt_ms if row.finished_ms is None else None,
        "finished_at": row.finished_ms,
    }
