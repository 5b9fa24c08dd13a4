"""The Prometheus HTTP API: what Grafana's Prometheus data source asks for.

Source: grafana-contract §2.2 to §2.5; Prometheus `web/api/v1/api.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flask import Blueprint, Response

from tidegauge import __version__
from tidegauge.compat.prometheus_json import render_result
from tidegauge.compat.prometheus_params import (
    AnswerForm,
    read_answer_form,
    read_metadata_limit,
    read_options,
    read_required_time_ms,
    read_scope,
    read_step_ms,
    read_time_ms,
    unescape_label_name,
)
from tidegauge.errors import InvalidInput
from tidegauge.query.listings import Listing
from tidegauge.query.service import Answer, truncate_series
from tidegauge.web.access import require
from tidegauge.web.compression import compressible_response
from tidegauge.web.context import services
from tidegauge.web.errors import json_bytes_response, json_response
from tidegauge.web.openapi import NUMBER, TEXT, TEXTS, describe
from tidegauge.web.params import InvalidParameter, read_params

SPOKEN_VERSION = "2.53.0"
"""The Prometheus version that Grafana is told: with it every feature that we serve is used."""

TRUNCATED = "results truncated due to limit"
MAX_ANNOTATIONS = 10

blueprint = Blueprint("prometheus", __name__, url_prefix="/prometheus/api/v1")


LISTING: Mapping[str, Mapping[str, object]] = {
    "match[]": TEXTS,
    "start": TEXT,
    "end": TEXT,
    "limit": NUMBER,
}
"""The query parameters of listings, as the reference tells them."""


@blueprint.route("/query", methods=["GET", "POST"])
@require("query:read")
@describe(
    query={"query": TEXT, "time": TEXT, "timeout": TEXT, "limit": NUMBER, "lookback_delta": TEXT}
)
def query() -> Response:
    """Evaluate at one moment."""
    params = read_params()
    form = read_answer_form(params)
    time_ms = read_time_ms(params, "time")
    options = read_options(params)
    held = services()
    try:
        answer = held.query.instant(
            params.first("query"),
            time_ms=held.clock_ms() if time_ms is None else time_ms,
            options=options,
        )
    except InvalidInput as exc:
        raise InvalidParameter("query", exc.message) from exc
    return _answered(answer, form)


@blueprint.route("/query_range", methods=["GET", "POST"])
@require("query:read")
@describe(
    query={
        "query": TEXT,
        "start": TEXT,
        "end": TEXT,
        "step": TEXT,
        "timeout": TEXT,
        "limit": NUMBER,
    }
)
def query_range() -> Response:
    """Evaluate over a grid."""
    params = read_params()
    form = read_answer_form(params)
    start_ms = read_required_time_ms(params, "start")
    end_ms = read_required_time_ms(params, "end")
    if end_ms < start_ms:
        raise InvalidParameter("end", "end timestamp must not be before start time")
    step_ms = read_step_ms(params)
    options = read_options(params)
    try:
        answer = services().query.range(
            params.first("query"),
            start_ms=start_ms,
            end_ms=end_ms,
            step_ms=step_ms,
            options=options,
        )
    except InvalidInput as exc:
        raise InvalidParameter("query", exc.message) from exc
    return _answered(answer, form)


@blueprint.route("/labels", methods=["GET", "POST"])
@require("query:read")
@describe(query=LISTING)
def label_names() -> Response:
    """List label names."""
    return _listed(services().listings.label_names(read_scope(read_params())))


@blueprint.get("/label/<name>/values")
@require("query:read")
@describe(query=LISTING)
def label_values(name: str) -> Response:
    """List the values of one label."""
    scope = read_scope(read_params())
    label = unescape_label_name(name)
    if not label:
        raise InvalidInput('invalid label name: ""')
    return _listed(services().listings.label_values(label, scope))


@blueprint.route("/series", methods=["GET", "POST"])
@require("query:read")
@describe(query=LISTING)
def series() -> Response:
    """List series."""
    params = read_params()
    if not params.all("match[]"):
        raise InvalidInput("no match[] parameter provided")
    scope = read_scope(params)
    try:
        found = services().listings.series(scope)
    except InvalidInput as exc:
        raise InvalidParameter("match[]", exc.message) from exc
    return _listed(Listing([dict(labels) for labels in found.items], found.truncated))


@blueprint.get("/metadata")
@require("query:read")
@describe(query={"metric": TEXT, "limit": NUMBER, "limit_per_metric": NUMBER})
def metadata() -> Response:
    """List what senders said of their metrics."""
    params = read_params()
    read_metadata_limit(params, "limit_per_metric")  # There is one entry a metric at most.
    limit = read_metadata_limit(params, "limit")
    known = services().listings.metadata(metric=params.first("metric"), limit=limit)
    data = {
        name: [{"type": said.type or "unknown", "help": said.help, "unit": said.unit}]
        for name, said in known.items()
    }
    return json_response({"status": "success", "data": data})


@blueprint.route("/query_exemplars", methods=["GET", "POST"])
@require("query:read")
@describe(query={"query": TEXT, "start": TEXT, "end": TEXT})
def query_exemplars() -> Response:
    """Answer that there are no exemplars, which is what Grafana's probe wants to hear.

    The probe sends its times in milliseconds: they are far off, and as good as others.
    """
    params = read_params()
    start_ms, end_ms = read_time_ms(params, "start"), read_time_ms(params, "end")
    if start_ms is not None and end_ms is not None and end_ms < start_ms:
        raise InvalidInput("end timestamp must not be before start timestamp")
    services().parser.parse(params.first("query"))
    return json_response({"status": "success", "data": []})


@blueprint.get("/status/buildinfo")
@require("query:read")
def buildinfo() -> Response:
    """Say which Prometheus to take us for."""
    data = {
        "version": SPOKEN_VERSION,
        "revision": f"tidegauge-{__version__}",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }
    return json_response({"status": "success", "data": data})


def _answered(answer: Answer, form: AnswerForm) -> Response:
    is_range = answer.step_ms > 0

    def render() -> bytes:
        notes = answer.result.annotations
        result, truncated = truncate_series(answer.result, form.limit)
        cut = [TRUNCATED] if truncated else []
        return render_result(
            result,
            is_range=is_range,
            warnings=_capped([*cut, *form.warnings, *notes.warnings], "warning"),
            infos=_capped(notes.infos, "info"),
            stats=_describe(answer) if form.stats else None,
        )

    if form.stats:
        # Each answer took its own time.
        return json_bytes_response(render())
    name = f"prometheus:{form.limit}"
    # Compressing costs more than all else of an answer that is kept: it is kept compressed, too.
    return compressible_response(
        answer.bodies.get(name, render),
        keep=lambda compress: answer.bodies.get(f"{name}:gzip", compress),
    )


def _describe(answer: Answer) -> dict[str, object]:
    """Return the statistics that Prometheus gives; only the whole time is measured."""
    took_s = round(answer.took_ms / 1000, 6)
    read = answer.result.samples_read
    return {
        "timings": {
            "evalTotalTime": took_s,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": 0,
            "execQueueTime": 0,
            "execTotalTime": took_s,
        },
        "samples": {"totalQueryableSamples": read, "samplesRead": read, "peakSamples": read},
    }


def _capped(notes: Sequence[str], kind: str) -> list[str]:
    if len(notes) <= MAX_ANNOTATIONS:
        return list(notes)
    more = f"{len(notes) - MAX_ANNOTATIONS} more {kind} annotations omitted"
    return [*notes[:MAX_ANNOTATIONS], more]


def _listed(listing: Listing[str] | Listing[dict[str, str]]) -> Response:
    body: dict[str, object] = {"status": "success", "data": listing.items}
    if listing.truncated:
        body["warnings"] = [TRUNCATED]
    return json_response(body)
