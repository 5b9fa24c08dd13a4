"""`rules` and `alerts`: what Grafana's alerting pages list.

There are no alert rules yet, so both are empty; their parameters are read and checked already.
Source: grafana-contract §2.7; Prometheus `web/api/v1/api.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response

from tidegauge.errors import InvalidInput
from tidegauge.web.access import require
from tidegauge.web.context import services
from tidegauge.web.errors import json_response
from tidegauge.web.params import InvalidParameter, Params, read_params

MAX_GROUP_LIMIT = 2**31 - 1

_TYPES = ("", "alert", "record")
_BOOLEANS = {"": False, "1": True, "t": True, "true": True, "0": False, "f": False, "false": False}

blueprint = Blueprint("prometheus_rules", __name__, url_prefix="/prometheus/api/v1")


@blueprint.get("/rules")
@require("alert:read")
def rules() -> Response:
    """List the rule groups."""
    page = read_page(read_params())
    if page.next_token:
        raise InvalidParameter(
            "group_next_token",
            f"invalid group_next_token '{page.next_token[:64]}'. were rule groups changed?",
        )
    return json_response({"status": "success", "data": {"groups": []}})


@blueprint.get("/alerts")
@require("alert:read")
def alerts() -> Response:
    """List the alerts that are pending or firing."""
    return json_response({"status": "success", "data": {"alerts": []}})


@dataclass(frozen=True, slots=True)
class RulesPage:
    """Which groups a client wants to see at once.

    Args:
        limit: at most so many; 0 for all.
        next_token: what the page before ended with, "" for the first page.
    """

    limit: int
    next_token: str


def read_page(params: Params) -> RulesPage:
    """Return the page that is asked for, with every other parameter checked, too.

    `file[]`, `rule_group[]`, `rule_name[]`, and their forms without brackets, may be anything.
    Raises:
        InvalidInput: a `match[]` does not parse, or another parameter is wrong.
    """
    services().parser.parse_selectors(params.all("match[]"))
    kind = params.first("type").lower()
    if kind not in _TYPES:
        raise InvalidParameter("type", f'not supported value "{kind[:64]}"')
    excluding = params.first("exclude_alerts").lower()
    if excluding not in _BOOLEANS:
        raise InvalidParameter(
            "exclude_alerts", f'error converting exclude_alerts: "{excluding[:64]}" is no boolean'
        )
    limit, token = params.first("group_limit"), params.first("group_next_token")
    if token and not limit:
        raise InvalidParameter(
            "group_next_token",
            "group_limit needs to be present in order to paginate over the groups",
        )
    return RulesPage(_read_group_limit(params) if limit else 0, token)


def _read_group_limit(params: Params) -> int:
    try:
        limit = params.count("group_limit", high=MAX_GROUP_LIMIT)
    except InvalidInput as exc:
        text = params.first("group_limit")[:64]
        raise InvalidParameter(
            "group_limit", f'group_limit needs to be a valid number: "{text}"'
        ) from exc
    if limit <= 0:
        raise InvalidParameter("group_limit", "group_limit needs to be greater than 0")
    return limit
