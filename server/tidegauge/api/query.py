"""`POST /api/v1/query`: PromQL in a JSON body. Source: SPEC §3."""

from __future__ import annotations

from typing import Literal

import msgspec
from flask import Blueprint, Response

from tidegauge.api.query_json import render_answer
from tidegauge.errors import InvalidInput
from tidegauge.query.service import QueryOptions
from tidegauge.query.times import parse_duration_ms, parse_native_time_ms
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.context import services
from tidegauge.web.params import InvalidParameter

blueprint = Blueprint("query", __name__, url_prefix="/api/v1")


class QueryBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body.

    Args:
        query: PromQL.
        start, end: Unix ms, RFC 3339, or `now-6h`. Without an end, now; without a start, one
            moment: the end.
        step: seconds, or `30s`; missing: one that suits the range.
        format: a list of points, or of series with their points.
        cache: false for an answer that is evaluated now, and not kept.
    """

    query: str
    start: str | int | float | None = None
    end: str | int | float | None = None
    step: str | int | float | None = None
    format: Literal["points", "series"] = "points"
    cache: bool = True


@blueprint.post("/query")
@require("query:read")
def query() -> Response:
    """Evaluate over a range, or at one moment."""
    body = read_json(QueryBody)
    held = services()
    now_ms = held.clock_ms()
    end_ms = now_ms if body.end is None else _read_time_ms("end", body.end, now_ms)
    start_ms = end_ms if body.start is None else _read_time_ms("start", body.start, now_ms)
    if end_ms < start_ms:
        raise InvalidParameter("end", "it lies before start")
    answer = held.query.api_query(
        body.query,
        start_ms=start_ms,
        end_ms=end_ms,
        step_ms=_read_step_ms(body.step),
        options=QueryOptions(cached=body.cache),
    )
    rendered = render_answer(answer, as_series=body.format == "series")
    return Response(rendered, mimetype="application/json")


def _read_time_ms(name: str, value: str | float, now_ms: int) -> int:
    try:
        return parse_native_time_ms(value, now_ms=now_ms)
    except InvalidInput as exc:
        raise InvalidParameter(name, exc.message) from exc


def _read_step_ms(step: str | float | None) -> int | None:
    if step is None:
        return None
    try:
        step_ms = parse_duration_ms(str(step).strip())
    except InvalidInput as exc:
        raise InvalidParameter("step", exc.message) from exc
    if step_ms < 1:
        raise InvalidParameter("step", f"{step!r} is not at least a millisecond")
    return step_ms
