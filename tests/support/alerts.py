"""Alert rules and what becomes of them, for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tidegauge.alerts.telling import own_channels
from tidegauge.auth.actor import SYSTEM
from tidegauge.model.alerts import AlertInstance, AlertRule, AlertState, Condition
from tidegauge.storage.alert_changes import Change, Evaluated
from tidegauge.storage.alert_events import AlertEvent

MAIL = {"type": "email", "target": "ops@example.org"}
ENTRY = SYSTEM.entry("alert.test")


def make_rule(**fields: Any) -> AlertRule:
    """Return a rule that no account owns."""
    given = {"name": "hot", "query": "heat", "condition": Condition.GT, "threshold": 5.0}
    return AlertRule(**{**given, "channels": (MAIL,), **fields})


def make_change(
    rule: AlertRule, instance: AlertInstance, *, told: bool = True, now_ms: int = 1000
) -> Change:
    """Return the change from inactive to a state."""
    event = AlertEvent(
        rule_id=rule.id,
        rule_name=rule.name,
        severity=rule.severity.value,
        labels=instance.labels,
        previous=AlertState.INACTIVE,
        state=instance.state,
        value=instance.value,
        at_ms=now_ms,
    )
    payload = {"status": "firing", "labels": dict(instance.labels)} if told else None
    return Change(instance, event=event, payload=payload, channels=own_channels(rule))


def make_evaluated(rule: AlertRule, *changes: Change, **fields: Any) -> Evaluated:
    """Return an evaluation of a rule."""
    given = {"at_ms": 1000, "took_ms": 2.5, "series": 3, "missed": 0, "error": ""}
    return Evaluated(rule=rule, changes=changes, **{**given, **fields})


def end(instance: AlertInstance) -> Change:
    """End a label set without a word."""
    return Change(replace(instance, state=AlertState.INACTIVE))
