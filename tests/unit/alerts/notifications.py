"""Notifications as the outbox gives them out."""

from __future__ import annotations

from collections.abc import Sequence
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


def make_message(
    *alerts: dict[str, Any],
    channel: dict[str, Any] | None = None,
    others: Sequence[dict[str, Any]] = (),
    **fields: Any,
) -> ClaimedNotification:
    """Return a message that tells of these alerts, by default of one."""
    known = {
        "ids": tuple(range(3, 3 + max(1, len(alerts)))),
        "rule_id": 7,
        "receiver": "",
        "group_key": '{}/{rule="7"}:{alertname="High latency"}',
        "group_labels": {"alertname": "High latency"},
        "left_out": 0,
        "attempt": 1,
        "idempotency_key": KEY,
        "age_s": 0.5,
        "claimed_until": MOMENT,
    }
    return ClaimedNotification(
        channel=channel or {"type": "email", "target": "ops@example.org"},
        alerts=alerts or (make_payload(),),
        others=tuple(others),
        **{**known, **fields},
    )


def make_notification(channel: dict[str, Any], **changes: Any) -> ClaimedNotification:
    """Return a message that tells one channel of one alert."""
    return make_message(make_payload(**changes), channel=channel)
