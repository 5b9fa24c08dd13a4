"""What people are told of an alert."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tidegauge.alerts.templates.expand import AlertData, Query, expand_or_explain
from tidegauge.model.alerts import AlertInstance, AlertRule, Condition
from tidegauge.model.labels import Labels, make_labels


def alert_labels(rule: AlertRule, alert: AlertInstance) -> Labels:
    """Return an alert's labels: those of its series, over them its name, severity, the rule's.

    Templates in those of the rule see the labels of the series and the value.
    """
    data = _see(rule, dict(alert.labels), alert, alert.active_ms, None)
    own = {"alertname": rule.name, "severity": rule.severity.value}
    rules = {name: expand_or_explain(text, data) for name, text in rule.labels}
    return make_labels({**data.labels, **own, **rules})


def alert_annotations(
    rule: AlertRule, alert: AlertInstance, *, now_ms: int, query: Query | None = None
) -> dict[str, str]:
    """Return a rule's annotations, filled in for an alert.

    Args:
        now_ms: the time of the evaluation, Unix ms.
        query: answers the queries of templates; None: they have none.
    """
    data = _see(rule, dict(alert_labels(rule, alert)), alert, now_ms, query)
    return {name: expand_or_explain(text, data) for name, text in rule.annotations.items()}


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
            "threshold": None if rule.condition is Condition.ANY else json_number(rule.threshold),
            "hold_ms": rule.hold_ms,
        },
        "labels": dict(alert_labels(rule, instance)),
        "series": dict(instance.labels),
        "annotations": dict(annotations),
        "value": json_number(instance.value),
        "starts_at": instance.active_ms,
        "fired_at": instance.fired_ms,
        "ends_at": instance.resolved_ms,
    }


def json_number(value: float | None) -> float | None:
    """Return a number that JSON has, or None for those that it has not."""
    return value if value is not None and math.isfinite(value) else None


def _see(
    rule: AlertRule,
    labels: Mapping[str, str],
    alert: AlertInstance,
    now_ms: int,
    query: Query | None,
) -> AlertData:
    value = math.nan if alert.value is None else alert.value
    if query is None:
        return AlertData(rule.name, labels, value, now_ms)
    return AlertData(rule.name, labels, value, now_ms, query)
