"""`/api/v1/metrics`: ingestion as JSON, the list of metrics, and their tags. SPEC §2 and §3."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, request

from tidegauge.web.access import require
from tidegauge.web.bodies import read_body
from tidegauge.web.context import request_id, services
from tidegauge.web.errors import json_response, outcome_response
from tidegauge.web.ingestion import BODY_SETTING, measured
from tidegauge.web.openapi import NUMBER, TEXT, describe
from tidegauge.web.params import read_params

DEFAULT_METRICS = 100
MAX_METRICS = 1000
DEFAULT_TAG_VALUES = 1000
MAX_TAG_VALUES = 100_000

_POINTS: Mapping[str, object] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 255},
            "value": {"anyOf": [{"type": "number"}, {"enum": ["NaN", "+Inf", "-Inf"]}]},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            "timestamp": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
        "required": ["name", "value"],
    },
}

blueprint = Blueprint("metrics", __name__, url_prefix="/api/v1")


@blueprint.post("/metrics")
@require("metrics:write", log_level="debug")
@describe(body=_POINTS, status=202, refusal="Outcome")
@measured
def ingest() -> Response:
    """Take points."""
    held = services()
    outcome = held.ingest.ingest_json(
        read_body(held.config.ingest.max_body_bytes, setting=BODY_SETTING),
        request.content_encoding or "",
        request_id(),
        held.clock_ms(),
    )
    return outcome_response(outcome)


@blueprint.get("/metrics")
@require("query:read")
@describe(query={"search": TEXT, "after": TEXT, "limit": NUMBER})
def list_metrics() -> Response:
    """List the definitions of metrics by name."""
    params = read_params()
    found = services().listings.metrics(
        search=params.first("search"),
        after=params.first("after"),
        limit=params.count("limit", default=DEFAULT_METRICS, high=MAX_METRICS) or DEFAULT_METRICS,
    )
    data = [
        {
            "name": row.name,
            "type": row.type,
            "unit": row.unit,
            "description": row.description,
            "series": row.series,
            "last_seen": row.last_seen_ms,
        }
        for row in found.items
    ]
    # The name to pass as `after` for the next page.
    following = found.items[-1].name if found.truncated else None
    return json_response({"data": data, "next": following})


@blueprint.get("/metrics/<name>/tags")
@require("query:read")
@describe(query={"key": TEXT, "match": TEXT, "limit": NUMBER})
def list_tags(name: str) -> Response:
    """List the values of each tag key of a metric."""
    params = read_params()
    found = services().listings.tag_values(
        name,
        key=params.first("key"),
        selectors=params.all("match") + params.all("match[]"),
        limit=params.count("limit", default=DEFAULT_TAG_VALUES, high=MAX_TAG_VALUES)
        or DEFAULT_TAG_VALUES,
    )
    return json_response(
        {
            "data": {key: values.items for key, values in found.items()},
            "truncated": [key for key, values in found.items() if values.truncated],
        }
    )
