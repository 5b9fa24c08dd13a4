"""`/api/v1/alerts/statistics`: how alerts, and those who are told of them, do. Source: SPEC §7."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response

from tidegauge.query.times import parse_native_time_ms
from tidegauge.web.access import require
from tidegauge.web.context import alert_statistics, services
from tidegauge.web.errors import json_response
from tidegauge.web.openapi import NUMBER, TEXT, describe
from tidegauge.web.params import InvalidParameter, read_params

MAX_RANGE_MS = 366 * 86_400_000
DEFAULT_RULES, MOST_RULES = 20, 1000

blueprint = Blueprint("alert_statistics", __name__, url_prefix="/api/v1/alerts")


@blueprint.get("/statistics")
@require("alert:read", counted_as="query:read")
@describe(query={"start": TEXT, "end": TEXT, "limit": NUMBER})
def read_statistics() -> Response:
    """Tell how often alerts fired, how soon people heard of it, and which rules are noisy."""
    params, now_ms = read_params(), services().clock_ms()
    start_ms = parse_native_time_ms(params.first("start") or "now-7d", now_ms=now_ms)
    end_ms = parse_native_time_ms(params.first("end") or "now", now_ms=now_ms)
    if not 0 <= end_ms - start_ms <= MAX_RANGE_MS:
        raise InvalidParameter("start", "it does not lie before `end`, by at most 366 days")
    limit = params.count("limit", default=DEFAULT_RULES, high=MOST_RULES) or DEFAULT_RULES
    figures = alert_statistics().read(start_ms=start_ms, end_ms=end_ms, limit=limit)
    rules = []
    for one in figures.rules:
        row = asdict(one)
        row["last_at"] = row.pop("last_ms")
        rules.append(row)
    data = {"start": start_ms, "end": end_ms, **asdict(figures), "rules": rules}
    return json_response({"data": data})
