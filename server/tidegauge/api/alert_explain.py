"""`/api/v1/alerts/explain`: why somebody was told of an alert, or was not. Source: SPEC §7."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response, request

from tidegauge.alerts.explain import Asked
from tidegauge.alerts.explanation import Explanation, Mute
from tidegauge.alerts.notifiers.channels import hide_secrets
from tidegauge.alerts.payloads import json_number
from tidegauge.api.alert_acknowledgements import describe_acknowledgement
from tidegauge.model.alerts import AlertRule, Condition
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.routing import RoutedChannel
from tidegauge.query.times import parse_native_time_ms
from tidegauge.storage.alert_ledger import Told
from tidegauge.web.access import require
from tidegauge.web.context import explainer, services
from tidegauge.web.errors import json_response
from tidegauge.web.openapi import NUMBER, TEXT, TEXTS, describe
from tidegauge.web.params import InvalidParameter, Params, read_params

MAX_LABELS = 64

_OWN = frozenset({"rule_id", "match[]", "labels", "time"})

blueprint = Blueprint("alert_explain", __name__, url_prefix="/api/v1/alerts")


@blueprint.get("/explain")
@require("alert:read", counted_as="query:read")
@describe(query={"rule_id": NUMBER, "match[]": TEXTS, "labels": TEXT, "time": TEXT})
def explain() -> Response:
    """Say why somebody was told of an alert, or was not; any other parameter is a label's value."""
    params = read_params()
    time = params.first("time")
    explained = explainer().explain(
        Asked(
            selectors=_read_selectors(params),
            rule_id=params.count("rule_id") if params.first("rule_id") else None,
            time_ms=parse_native_time_ms(time, now_ms=services().clock_ms()) if time else None,
        )
    )
    rows = [_describe(one) for one in explained.explanations]
    return json_response({"data": rows, "rules": explained.rules, "left_out": explained.left_out})


def _read_selectors(params: Params) -> list[tuple[Matcher, ...]]:
    pairs = {**_read_labels(params.first("labels"))}
    pairs.update({name: text for name, text in request.args.items() if name not in _OWN})
    if len(pairs) > MAX_LABELS:
        raise InvalidParameter("labels", f"there are {len(pairs)}, at most {MAX_LABELS} are taken")
    common = tuple(Matcher(MatchType.EQUAL, name, text) for name, text in pairs.items())
    selectors = services().parser.parse_selectors(params.all("match[]"))
    if not selectors:
        return [common] if common else []
    return [(*one, *common) for one in selectors]


def _read_labels(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        raise InvalidParameter("labels", 'it is no JSON object like {"host": "db1"}') from exc


def _describe(one: Explanation) -> dict[str, object]:
    rule, last = one.rule, one.last
    return {
        "summary": one.summary,
        "time": one.at_ms,
        "rule": None if rule is None else _describe_rule(rule),
        "labels": dict(one.labels),
        "answer": {
            "present": one.answer.present,
            "value": json_number(one.answer.value),
            "condition": None if rule is None else rule.condition.value,
            "threshold": None
            if rule is None or rule.condition is Condition.ANY
            else rule.threshold,
            "holds": one.answer.holds,
            "reason": one.answer.reason,
        },
        "state": one.standing.state.value,
        "since": one.standing.since_ms,
        "held_ms": one.standing.held_ms,
        "duration_ms": None if rule is None else rule.hold_ms,
        "fires_in_ms": one.standing.fires_in_ms,
        "last_evaluation": None
        if last is None
        else {"at": last.at_ms, "error": last.error, "series": last.series, "missed": last.missed},
        "muted_by": [_describe_mute(mute) for mute in one.mutes],
        "route": [
            {
                "path": step.path,
                "receiver": step.receiver,
                "matched": step.matched,
                "chosen": step.chosen,
                "reason": step.reason,
            }
            for step in one.steps
        ],
        "channels": [_describe_channel(channel) for channel in one.channels],
        "notifications": [_describe_told(told) for told in one.told],
        "notification_failed": any(told.state == "failed" for told in one.told),
        "acknowledgement": None
        if one.acknowledgement is None
        else describe_acknowledgement(one.acknowledgement),
    }


def _describe_rule(rule: AlertRule) -> dict[str, object]:
    return {
        "id": rule.id,
        "name": rule.name,
        "enabled": rule.enabled,
        "query": rule.query,
        "no_data": rule.no_data.value,
        "on_error": rule.on_error.value,
        "changed_at": rule.changed_ms,
    }


def _describe_mute(mute: Mute) -> dict[str, object]:
    return {
        "kind": mute.kind,
        "id": mute.id,
        "comment": mute.comment,
        "by": mute.made_by,
        "until": mute.until_ms,
    }


def _describe_channel(channel: RoutedChannel) -> dict[str, object]:
    return {
        # A target may hold a password, or be one.
        **hide_secrets(channel.channel),
        "receiver": channel.receiver,
        "group": dict(channel.group_labels),
    }


def _describe_told(told: Told) -> dict[str, object]:
    return {
        "id": told.id,
        "status": told.status,
        "channel": hide_secrets(told.channel),
        "receiver": told.receiver,
        "state": told.state,
        "attempts": told.attempts,
        "answer": told.answer,
        "idempotency_key": told.idempotency_key,
        "created_at": told.created_ms,
        "next_attempt_at": told.next_attempt_ms if told.finished_ms is None else None,
        "finished_at": told.finished_ms,
        "breaker_open": bool(told.tries) and told.tries[-1].outcome == "refused",
        "tries": [
            {"at": one.at_ms, "attempt": one.attempt, "outcome": one.outcome, "answer": one.answer}
            for one in told.tries
        ],
    }
