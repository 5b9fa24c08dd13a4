"""`POST /api/v1/query`: PromQL in a JSON body. Source: SPEC §3."""

from __future__ import annotations

from typing import Literal

import msgspec
from flask import Blueprint, Response

from tidegauge.api.query_json import render_answer
from tidegauge.errors import InvalidInput
from tidegauge.query.service import QueryOptions
from tidegauge.query.times import (
    choose_step_ms,
    is_relative,
    parse_duration_ms,
    parse_native_time_ms,
    round_now_ms,
)
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.compression import two_part_response
from tidegauge.web.context import services
from tidegauge.web.openapi import describe
from tidegauge.web.params import InvalidParameter

blueprint = Blueprint("query", __name__, url_prefix="/api/v1")


class QueryBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body.

    Args:
        query: PromQL.
        start, end: Unix ms, RFC 3339, or `now-6h`. Without an end, now; without a start, one
            moment: the end. Where all that is given is relative, now is rounded down.
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
@describe(body=QueryBody)
def query() -> Response:
    """Evaluate over a range, or at one moment."""
    body = read_json(QueryBody)
    held = services()
    step_ms = _read_step_ms(body.step)
    start_ms, end_ms = _read_range_ms(body, step_ms, held.clock_ms())
    answer = held.query.api_query(
        body.query,
        start_ms=start_ms,
        end_ms=end_ms,
        step_ms=step_ms,
        options=QueryOptions(cached=body.cache),
    )
    rendered = render_answer(answer, as_series=body.format == "series")
    return two_part_response(
        rendered.data,
        rendered.end,
        keep=lambda pack: answer.bodies.get(f"{rendered.form}:gzip", pack),
    )


def _read_range_ms(body: QueryBody, step_ms: int | None, now_ms: int) -> tuple[int, int]:
    start_ms, end_ms = _read_ends_ms(body, now_ms)
    if end_ms < start_ms:
        raise InvalidParameter("end", "it lies before start")
    given = [time for time in (body.start, body.end) if time is not None]
    # Beside a fixed time a rounded now could lie before it; and who names no time wants the newest.
    if not given or not all(is_relative(time) for time in given):
        return start_ms, end_ms
    length_ms = end_ms - start_ms
    grid_ms = step_ms if step_ms is not None or not length_ms else choose_step_ms(length_ms)
    return _read_ends_ms(body, round_now_ms(now_ms, step_ms=grid_ms or 0))


def _read_ends_ms(body: QueryBody, now_ms: int) -> tuple[int, int]:
    end_ms = now_ms if body.end is None else _read_time_ms("end", body.end, now_ms)
    return end_ms if body.start is None else _read_time_ms("start", body.start, now_ms), end_ms


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
