"""Notifications as the outbox gives them out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tidegauge.storage.outbox import ClaimedNotification

KEY = "6f1c2d5e-0000-4000-8000-0123456789ab"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_payload(**changes: Any) -> dict[str, Any]:
    rule = {
        "id": 7,
        "name": "High latency",
        "severity": "critical",
        "query": 'avg(latency{job="api"}) by (pod) > 2',
        "threshold": 2.0,
        "condition": "gt",
    }
    return {
        "status": "firing",
        "rule": rule,
        "labels": {"alertname": "High latency", "pod": "a-1", "severity": "critical"},
        "annotations": {
            "summary": "Latency is 2.5 s",
            "runbook_url": "https://example.org/run?a=1&b",
        },
        "value": 2.5,
        "starts_at": 1_767_323_045_000,
        "ends_at": None,
        "event_id": 9,
        **changes,
    }


def make_notification(channel: dict[str, Any], **changes: Any) -> ClaimedNotification:
    return ClaimedNotification(3, 9, 7, channel, make_payload(**changes), 1, KEY, 0.5, MOMENT)
