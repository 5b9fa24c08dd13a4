"""`rules` and `alerts`: what Grafana's alerting pages list.

Source: grafana-contract §2.7; Prometheus `web/api/v1/api.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response

from tidegauge.alerts.service import RuleView
from tidegauge.compat.prometheus_rule_groups import Group, group_rules, next_token, shape_alerts
from tidegauge.errors import InvalidInput
from tidegauge.model.labels import Labels, find_label
from tidegauge.model.matchers import Matcher
from tidegauge.web.access import require
from tidegauge.web.context import services
from tidegauge.web.errors import json_response
from tidegauge.web.params import InvalidParameter, Params, read_params

MAX_GROUP_LIMIT = 2**31 - 1

_TYPES = ("", "alert", "record")
_TRUE, _FALSE = ("1", "t", "true"), ("", "0", "f", "false")

blueprint = Blueprint("prometheus_rules", __name__, url_prefix="/prometheus/api/v1")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rules are asked for.

    Args:
        names, groups, files: only these; empty: all.
        selectors: only rules whose labels fit one of these; empty: all.
        alerting, recording: whether rules of this kind.
        with_alerts: their alerts, too.
        group_limit: at most so many groups.
        token: of the first group to show; "": from the start.
    """

    names: frozenset[str]
    groups: frozenset[str]
    files: frozenset[str]
    selectors: list[tuple[Matcher, ...]]
    alerting: bool
    recording: bool
    with_alerts: bool
    group_limit: int
    token: str

    def takes(self, group: Group) -> bool:
        """Return whether a group is asked for."""
        return group.name in (self.groups or {group.name}) and (
            group.file in (self.files or {group.file})
        )

    def takes_rule(self, alerting: bool, name: str, labels: Labels) -> bool:
        """Return whether a rule is asked for."""
        if not (self.alerting if alerting else self.recording):
            return False
        if self.names and name not in self.names:
            return False
        return not self.selectors or any(_fits(labels, one) for one in self.selectors)


@blueprint.get("/rules")
@require("alert:read")
def rules() -> Response:
    """List the rule groups: those of files, and of other rules those of one interval."""
    wanted = read_wanted(read_params())
    held = services().alerts
    groups = group_rules([*_list_rules(), *([] if held is None else held.list_recordings())])
    if wanted.token:
        places = [number for number, one in enumerate(groups) if next_token(one) == wanted.token]
        if not places:
            raise InvalidParameter(
                "group_next_token",
                f"invalid group_next_token '{wanted.token[:64]}'. were rule groups changed?",
            )
        groups = groups[places[0] :]
    shown = [
        (group, shaped)
        for group in groups
        if wanted.takes(group)
        and (shaped := group.shape(wanted.takes_rule, with_alerts=wanted.with_alerts)) is not None
    ]
    data: dict[str, object] = {"groups": [shaped for _, shaped in shown[: wanted.group_limit]]}
    if len(shown) > wanted.group_limit:
        data["groupNextToken"] = next_token(shown[wanted.group_limit][0])
    return json_response({"status": "success", "data": data})


@blueprint.get("/alerts")
@require("alert:read")
def alerts() -> Response:
    """List the alerts that are pending or firing."""
    shaped = [alert for view in _list_rules() for alert in shape_alerts(view)]
    return json_response({"status": "success", "data": {"alerts": shaped}})


def read_wanted(params: Params) -> Wanted:
    """Return what `rules` is asked for.

    Raises:
        InvalidInput: a `match[]` does not parse, or another parameter is wrong.
    """
    selectors = services().parser.parse_selectors(params.all("match[]"))
    kind = params.first("type").lower()
    if kind not in _TYPES:
        raise InvalidParameter("type", f'not supported value "{kind[:64]}"')
    excluding = params.first("exclude_alerts").lower()
    if excluding not in _TRUE + _FALSE:
        raise InvalidParameter(
            "exclude_alerts", f'error converting exclude_alerts: "{excluding[:64]}" is no boolean'
        )
    return Wanted(
        # Grafana sends both forms.
        names=frozenset(params.all("rule_name[]") + params.all("rule_name")),
        groups=frozenset(params.all("rule_group[]") + params.all("rule_group")),
        files=frozenset(params.all("file[]") + params.all("file")),
        selectors=selectors,
        alerting=kind != "record",
        recording=kind != "alert",
        with_alerts=excluding not in _TRUE,
        group_limit=_read_group_limit(params),
        token=params.first("group_next_token"),
    )


def _read_group_limit(params: Params) -> int:
    text = params.first("group_limit")
    if params.first("group_next_token") and not text:
        raise InvalidParameter(
            "group_next_token",
            "group_limit needs to be present in order to paginate over the groups",
        )
    try:
        limit = params.count("group_limit", default=MAX_GROUP_LIMIT, high=MAX_GROUP_LIMIT)
    except InvalidInput as exc:
        raise InvalidParameter(
            "group_limit", f'group_limit needs to be a valid number: "{text[:64]}"'
        ) from exc
    if limit <= 0:
        raise InvalidParameter("group_limit", "group_limit needs to be greater than 0")
    return limit


def _list_rules() -> list[RuleView]:
    held = services().alerts
    return [] if held is None else [one for one in held.list_all() if one.stored.rule.enabled]


def _fits(labels: Labels, matchers: tuple[Matcher, ...]) -> bool:
    return all(one.matches(find_label(labels, one.name)) for one in matchers)
