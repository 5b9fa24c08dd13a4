"""`/api/v1/alerts`: alert rules, where their alerts stand, and what they went through.

Source: SPEC §7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from flask import Blueprint, Response

from tidegauge.alerts.live_state import worst_state
from tidegauge.alerts.notifiers.channels import hide_secrets
from tidegauge.alerts.payloads import alert_annotations, alert_labels, json_number
from tidegauge.alerts.rules import InvalidRule, choose_no_data, parse_rule_duration_ms
from tidegauge.alerts.service import RuleView
from tidegauge.api.alert_acknowledgements import describe_acknowledgement
from tidegauge.auth.principal import Principal
from tidegauge.model.alerts import (
    AlertInstance,
    AlertRule,
    AlertState,
    Condition,
    LastEvaluation,
    Policy,
    Severity,
)
from tidegauge.model.labels import make_labels
from tidegauge.promql.durations import NS_PER_MS, format_duration
from tidegauge.query.times import parse_native_time_ms
from tidegauge.storage.acknowledgements import Acknowledgement
from tidegauge.storage.alert_events import AlertEvent
from tidegauge.storage.alert_instances import fingerprint_of
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import alerts, services
from tidegauge.web.errors import created_response, json_response
from tidegauge.web.identity import current_actor, current_principal
from tidegauge.web.openapi import NUMBER, TEXT, describe
from tidegauge.web.pages import PAGE, read_page
from tidegauge.web.params import Params, read_params

HISTORY_ROWS = 100
MOST_HISTORY_ROWS = 1000

_Policy = Literal["keep", "fire", "resolve"]

blueprint = Blueprint("alerts", __name__, url_prefix="/api/v1/alerts")


class RuleBody(msgspec.Struct, forbid_unknown_fields=True):
    """An alert rule.

    Args:
        name: what people call it.
        query, condition, threshold: PromQL, and which of its values are bad; `any` wants no
            threshold.
        duration: how long they are before the alert fires: `5m`, or seconds.
        severity: how bad it is.
        enabled: whether it is evaluated.
        notification: whom to tell, `{type, target, …}`, or several of these.
        labels, annotations: put on its alerts; texts for people.
        keep_firing_for: how long it goes on firing when values are good again.
        no_data: what becomes of its alerts without data; by default what suits the query.
        on_error: what becomes of them when the query fails.
        interval: how often it is evaluated.
        repeat: how often people are told again; 0: never.
        limit: more alerts at once are an error; 0: no limit.
        query_offset: the query is asked as of so long ago.
    """

    name: str
    query: str
    condition: Literal["gt", "lt", "eq", "ne", "gte", "lte", "any"]
    threshold: float | None = None
    duration: str | int | float = "5m"
    severity: Literal["info", "warning", "critical"] = "warning"
    enabled: bool = True
    notification: dict[str, Any] | list[dict[str, Any]] = msgspec.field(default_factory=list)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    keep_firing_for: str | int | float = 0
    no_data: _Policy | None = None
    on_error: _Policy = "keep"
    interval: str | int | float | None = None
    repeat: str | int | float = "4h"
    limit: int = 0
    query_offset: str | int | float = 0


@blueprint.get("")
@require("alert:read")
@describe(query=PAGE)
def list_rules() -> Response:
    """List alert rules in the order of their ids, without their alerts."""
    page, sender = read_page(), current_principal()
    views = alerts().list_page(after=page.after, limit=page.limit)
    return json_response(page.body([_describe_rule(one, sender) for one in views]))


@blueprint.post("")
@require("alert:create")
@describe(body=RuleBody, status=201)
def add_rule() -> Response:
    """Make an alert rule."""
    sender = current_principal()
    view = alerts().add(make_rule(read_json(RuleBody)), sender, current_actor())
    rule = {**_describe_rule(view, sender), "alerts": []}
    return created_response({"data": rule}, f"/api/v1/alerts/{view.stored.rule.id}")


@blueprint.get("/<int:rule_id>")
@require("alert:read")
@describe()
def read_rule(rule_id: int) -> Response:
    """Show one alert rule with its alerts."""
    return _answer(alerts().read(rule_id))


@blueprint.put("/<int:rule_id>")
@require("alert:update:own")
@describe(body=RuleBody)
def change_rule(rule_id: int) -> Response:
    """Put a rule in the place of another; with another query its alerts end."""
    rule = make_rule(read_json(RuleBody))
    return _answer(alerts().change(rule_id, rule, current_principal(), current_actor()))


@blueprint.delete("/<int:rule_id>")
@require("alert:delete:own")
@describe()
def delete_rule(rule_id: int) -> Response:
    """Delete an alert rule; its alerts end."""
    alerts().delete(rule_id, current_principal(), current_actor())
    return json_response({"deleted": [rule_id]})


@blueprint.get("/<int:rule_id>/history")
@require("alert:read")
@describe(query={"before": NUMBER, "limit": NUMBER, "start": TEXT, "end": TEXT})
def read_history(rule_id: int) -> Response:
    """List what a rule's alerts went through, newest first."""
    params = read_params()
    limit = params.count("limit", default=HISTORY_ROWS, high=MOST_HISTORY_ROWS) or HISTORY_ROWS
    events = alerts().read_history(
        rule_id,
        before=params.count("before", high=2**63 - 1) or None,
        start_ms=_read_time_ms(params, "start"),
        end_ms=_read_time_ms(params, "end"),
        limit=limit,
    )
    following = events[-1].id if len(events) == limit else None
    taken = alerts().read_acknowledgements(events)
    rows = [_describe_event(one, taken.get(one.id)) for one in events]
    return json_response({"data": rows, "next": following})


def _answer(view: RuleView) -> Response:
    rule = view.stored.rule
    standing = [
        {
            **_describe_alert(rule, one, view.acknowledged.get(one.event_id)),
            "notification_failed": one.event_id in view.unheard,
        }
        for one in view.standing
    ]
    return json_response(
        {"data": {**_describe_rule(view, current_principal()), "alerts": standing}}
    )


def _describe_rule(view: RuleView, sender: Principal) -> dict[str, object]:
    rule = view.stored.rule
    states = [one.state for one in view.standing]
    mine = sender.may_touch("alert", "update", rule.owner_id)
    return {
        "id": rule.id,
        "name": rule.name,
        "query": rule.query,
        "condition": rule.condition.value,
        "threshold": rule.threshold,
        "duration": write_duration(rule.hold_ms),
        "severity": rule.severity.value,
        "enabled": rule.enabled,
        # A target may hold a password, or be one.
        "notification": [dict(one) if mine else hide_secrets(one) for one in rule.channels],
        "labels": dict(rule.labels),
        "annotations": dict(rule.annotations),
        "keep_firing_for": write_duration(rule.keep_firing_ms),
        "no_data": rule.no_data.value,
        "on_error": rule.on_error.value,
        "interval": write_duration(rule.interval_ms),
        "repeat": write_duration(rule.repeat_ms),
        "limit": rule.limit,
        "query_offset": write_duration(rule.query_offset_ms),
        "owner_id": rule.owner_id,
        "file": None if rule.origin is None else rule.origin.file,
        "created_at": rule.created_ms,
        "changed_at": rule.changed_ms,
        "state": worst_state(view.standing).value,
        "firing": states.count(AlertState.FIRING),
        "pending": states.count(AlertState.PENDING),
        "last_evaluation": _describe_evaluation(view.stored.last),
    }


def make_rule(body: RuleBody) -> AlertRule:
    """Return the rule of a body, not checked yet.

    Raises:
        InvalidRule: a field says nothing. QuerySyntaxError.
    """
    if body.threshold is None and body.condition != "any":
        raise InvalidRule("threshold", "it is missing")
    channels: Sequence[dict[str, Any]] = (
        [body.notification] if isinstance(body.notification, dict) else body.notification
    )
    interval = services().config.alerts.interval_s if body.interval is None else body.interval
    no_data = (
        choose_no_data(services().parser.parse(body.query))
        if body.no_data is None
        else Policy(body.no_data)
    )
    return AlertRule(
        name=body.name,
        query=body.query,
        condition=Condition(body.condition),
        threshold=body.threshold or 0.0,
        hold_ms=parse_rule_duration_ms("duration", body.duration),
        keep_firing_ms=parse_rule_duration_ms("keep_firing_for", body.keep_firing_for),
        interval_ms=parse_rule_duration_ms("interval", interval),
        repeat_ms=parse_rule_duration_ms("repeat", body.repeat),
        severity=Severity(body.severity),
        enabled=body.enabled,
        no_data=no_data,
        on_error=Policy(body.on_error),
        labels=make_labels(body.labels),
        annotations=body.annotations,
        channels=tuple(channels),
        limit=body.limit,
        query_offset_ms=parse_rule_duration_ms("query_offset", body.query_offset),
    )


def write_duration(duration_ms: int) -> str:
    """Return a duration as people write it."""
    return format_duration(duration_ms * NS_PER_MS)


def _describe_alert(
    rule: AlertRule, alert: AlertInstance, taken: Acknowledgement | None
) -> dict[str, object]:
    return {
        "fingerprint": fingerprint_of(alert.labels).hex(),
        "labels": dict(alert_labels(rule, alert)),
        "annotations": alert_annotations(rule, alert, now_ms=alert.active_ms),
        "state": alert.state.value,
        "value": json_number(alert.value),
        "active_at": alert.active_ms,
        "fired_at": alert.fired_ms,
        "resolved_at": alert.resolved_ms,
        "acknowledgement": None if taken is None else describe_acknowledgement(taken),
    }


def _describe_evaluation(last: LastEvaluation | None) -> dict[str, object] | None:
    if last is None:
        return None
    return {
        "at": last.at_ms,
        "took_ms": round(last.took_ms, 3),
        "series": last.series,
        "missed": last.missed,
        "error": last.error,
    }


def _describe_event(event: AlertEvent, taken: Acknowledgement | None) -> dict[str, object]:
    return {
        "id": event.id,
        "time": event.at_ms,
        "previous": event.previous.value,
        "state": event.state.value,
        "labels": dict(event.labels),
        "value": json_number(event.value),
        "severity": event.severity,
        "details": dict(event.details),
        "acknowledgement": None if taken is None else describe_acknowledgement(taken),
        "notification_failed": event.notification_failed,
    }


def _read_time_ms(params: Params, name: str) -> int | None:
    text = params.first(name)
    if not text:
        return None
    return parse_native_time_ms(text, now_ms=services().clock_ms())
