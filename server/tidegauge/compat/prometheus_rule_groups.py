"""Alerting and recording rules in the shape of Prometheus's `rules` and `alerts`.

Source: grafana-contract §2.7; Prometheus `web/api/v1/api.go`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from tidegauge.alerts.live_state import worst_state
from tidegauge.alerts.payloads import alert_annotations, alert_labels
from tidegauge.alerts.service import RuleView
from tidegauge.model.alerts import (
    ACTIVE_STATES,
    AlertInstance,
    AlertRule,
    AlertState,
    Condition,
    LastEvaluation,
)
from tidegauge.model.floats import format_go_f
from tidegauge.model.labels import Labels, make_labels
from tidegauge.model.recording import RecordingRule
from tidegauge.promql.durations import NS_PER_MS, format_duration
from tidegauge.storage.recording_rules import StoredRecording

FILE = "tidegauge"
"""What Grafana shows as the namespace of rules that were made by the API."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER = "0001-01-01T00:00:00Z"
_OPERATORS = {
    Condition.GT: ">",
    Condition.LT: "<",
    Condition.EQ: "==",
    Condition.NE: "!=",
    Condition.GTE: ">=",
    Condition.LTE: "<=",
}

TakesRule = Callable[[bool, str, Labels], bool]
"""Says whether a rule is asked for: whether it is alerting, its name, its labels."""

View = RuleView | StoredRecording


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are shown together.

    Args:
        file, name: tell groups apart.
        interval_ms: how often its rules are evaluated.
        rules: at least one.
    """

    file: str
    name: str
    interval_ms: int
    rules: Sequence[View]

    def shape(self, takes_rule: TakesRule, *, with_alerts: bool) -> dict[str, object] | None:
        """Return the group as Prometheus shows it; None where none of its rules is asked for.

        Args:
            takes_rule: whether a rule is asked for.
            with_alerts: show their alerts, too.
        """
        taken = [one for one in self.rules if _is_taken(one, takes_rule)]
        if not taken:
            return None
        last = [found for one in self.rules if (found := _last_of(one)) is not None]
        return {
            "name": self.name,
            "file": self.file,
            "rules": [_shape_rule(one, with_alerts) for one in taken],
            "interval": self.interval_ms / 1000,
            "limit": _rule_of(self.rules[0]).limit,
            "evaluationTime": sum(one.took_ms for one in last) / 1000,
            "lastEvaluation": _write_time(max((one.at_ms for one in last), default=None)),
        }


def group_rules(views: Sequence[View]) -> list[Group]:
    """Return rules in groups: those of files, in their order; the others by their interval."""
    by_place: dict[tuple[str, int, str], list[View]] = {}
    # The sort is stable: rules without a place in a file stay in the order of their ids.
    for view in sorted(views, key=lambda view: _rule_of(view).position):
        rule = _rule_of(view)
        if rule.origin is None:
            name = f"every {format_duration(rule.interval_ms * NS_PER_MS)}"
            place = ("", rule.interval_ms, name)
        else:
            place = (rule.origin.file, rule.interval_ms, rule.origin.group)
        by_place.setdefault(place, []).append(view)
    return [
        Group(file or FILE, name, interval_ms, rules)
        for (file, interval_ms, name), rules in sorted(by_place.items())
    ]


def next_token(group: Group) -> str:
    """Return by which token a listing goes on with this group."""
    return hashlib.sha256(f"{group.file};{group.name}".encode()).hexdigest()


def shape_alerts(view: RuleView) -> Iterator[dict[str, object]]:
    """Yield the alerts of a rule that are pending or firing, as Prometheus shows them."""
    rule = view.stored.rule
    for alert in view.standing:
        if alert.state in ACTIVE_STATES:
            yield {
                "labels": dict(alert_labels(rule, alert)),
                "annotations": alert_annotations(rule, alert, now_ms=alert.active_ms),
                "state": alert.state.value,
                "activeAt": _write_time(alert.active_ms),
                "value": _write_value(alert),
            }


def _shape_rule(view: View, with_alerts: bool) -> dict[str, object]:
    if isinstance(view, StoredRecording):
        rule = view.rule
        return {
            "name": rule.record,
            "query": rule.query,
            "labels": dict(rule.labels),
            **_shape_last(view.last),
            "type": "recording",
        }
    return _shape_alerting(view, with_alerts)


def _shape_alerting(view: RuleView, with_alerts: bool) -> dict[str, object]:
    rule = view.stored.rule
    state = worst_state(view.standing)
    return {
        # Prometheus has no word for a resolved rule.
        "state": (AlertState.INACTIVE if state is AlertState.RESOLVED else state).value,
        "name": rule.name,
        "query": _write_query(rule),
        "duration": rule.hold_ms / 1000,
        "keepFiringFor": rule.keep_firing_ms / 1000,
        "labels": dict(_rule_labels(rule)),
        "annotations": dict(rule.annotations),
        "alerts": list(shape_alerts(view)) if with_alerts else [],
        **_shape_last(view.stored.last),
        "type": "alerting",
    }


def _shape_last(last: LastEvaluation | None) -> dict[str, object]:
    if last is None:
        return {"health": "unknown", "evaluationTime": 0, "lastEvaluation": _NEVER}
    shaped: dict[str, object] = {
        "health": "err" if last.error else "ok",
        "evaluationTime": last.took_ms / 1000,
        "lastEvaluation": _write_time(last.at_ms),
    }
    return {**shaped, "lastError": last.error} if last.error else shaped


def _rule_of(view: View) -> AlertRule | RecordingRule:
    return view.rule if isinstance(view, StoredRecording) else view.stored.rule


def _last_of(view: View) -> LastEvaluation | None:
    return view.last if isinstance(view, StoredRecording) else view.stored.last


def _is_taken(view: View, takes_rule: TakesRule) -> bool:
    rule = _rule_of(view)
    if isinstance(rule, AlertRule):
        return takes_rule(True, rule.name, _rule_labels(rule))
    return takes_rule(False, rule.record, make_labels(rule.labels))


def _write_query(rule: AlertRule) -> str:
    if rule.condition is Condition.ANY:
        return rule.query
    return f"({rule.query}) {_OPERATORS[rule.condition]} {rule.threshold:.17g}"


def _rule_labels(rule: AlertRule) -> Labels:
    return make_labels({"severity": rule.severity.value, **dict(rule.labels)})


def _write_value(alert: AlertInstance) -> str:
    # An alert about missing data has no value.
    value = np.nan if alert.value is None else alert.value
    if not np.isfinite(value):
        return format_go_f(value)
    return str(np.format_float_scientific(value, trim="-", exp_digits=2))


def _write_time(time_ms: int | None) -> str:
    if time_ms is None:
        return _NEVER
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
