"""`rules` and `alerts`: what Grafana's alerting pages list.

There are no alert rules yet, so both are empty; their parameters are read and checked already.
Source: grafana-contract §2.7; Prometheus `web/api/v1/api.go`.
"""

from __future__ import annotations

from flask import Blueprint, Response

from tidegauge.errors import InvalidInput
from tidegauge.web.access import require
from tidegauge.web.context import services
from tidegauge.web.errors import json_response
from tidegauge.web.params import InvalidParameter, Params, read_params

MAX_GROUP_LIMIT = 2**31 - 1

_TYPES = ("", "alert", "record")
_BOOLEANS = ("", "1", "t", "true", "0", "f", "false")

blueprint = Blueprint("prometheus_rules", __name__, url_prefix="/prometheus/api/v1")


@blueprint.get("/rules")
@require("alert:read")
def rules() -> Response:
    """List the rule groups."""
    check_params(read_params())
    return json_response({"status": "success", "data": {"groups": []}})


@blueprint.get("/alerts")
@require("alert:read")
def alerts() -> Response:
    """List the alerts that are pending or firing."""
    return json_response({"status": "success", "data": {"alerts": []}})


def check_params(params: Params) -> None:
    """Return if `rules` can be asked like this.

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
    _check_page(params)


def _check_page(params: Params) -> None:
    text, token = params.first("group_limit"), params.first("group_next_token")
    if token and not text:
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
    if token:
        # Without rules no page has a next one.
        raise InvalidParameter(
            "group_next_token",
            f"invalid group_next_token '{token[:64]}'. were rule groups changed?",
        )
