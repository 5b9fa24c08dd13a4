"""What people are told of an alert."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tidegauge.model.alerts import AlertInstance, AlertRule
from tidegauge.model.labels import Labels, make_labels


def alert_labels(rule: AlertRule, labels: Labels) -> Labels:
    """Return an alert's labels: those of its series, over them the rule's, its name, severity."""
    own = {"alertname": rule.name, "severity": rule.severity.value}
    return make_labels({**dict(labels), **own, **dict(rule.labels)})


def make_payload(
    rule: AlertRule, instance: AlertInstance, status: str, annotations: Mapping[str, str]
) -> dict[str, object]:
    """Return what a notification carries, but for the event's id; times are Unix ms.

    Args:
        rule: the rule.
        instance: the alert as it stands now.
        status: "firing", "resolved" or "repeat".
        annotations: the rule's, filled in.
    """
    return {
        "status": status,
        "rule": {
            "id": rule.id,
            "name": rule.name,
            "severity": rule.severity.value,
            "query": rule.query,
            "condition": rule.condition.value,
            "threshold": json_number(rule.threshold),
        },
        "labels": dict(alert_labels(rule, instance.labels)),
        "annotations": dict(annotations),
        "value": json_number(instance.value),
        "starts_at": instance.active_ms,
        "ends_at": instance.resolved_ms,
    }


def json_number(value: float | None) -> float | None:
    """Return a number that JSON has, or None for those that it has not."""
    return value if value is not None and math.isfinite(value) else None
