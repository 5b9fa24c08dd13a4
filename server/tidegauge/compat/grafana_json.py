"""The Grafana JSON data source (`simpod-json-datasource`), below `/grafana/json`.

Source: grafana-contract §1.
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response, request

from tidegauge.compat.grafana_json_annotations import ANNOTATIONS, find_by_tags
from tidegauge.compat.grafana_json_body import (
    MAX_ANNOTATIONS_BODY_BYTES,
    MAX_BODY_BYTES,
    AnnotationsBody,
    MetricsBody,
    PanelBody,
    PanelTarget,
    PayloadOptionsBody,
    TagsBody,
    TimeRange,
    VariableBody,
    read_query_body,
    read_range,
    read_text,
    read_variables,
)
from tidegauge.compat.grafana_json_filters import read_filters
from tidegauge.compat.grafana_json_frames import Rendered
from tidegauge.compat.grafana_json_lookup import Lookup
from tidegauge.compat.grafana_json_panel import Panel
from tidegauge.compat.grafana_json_payload import FIELDS, describe_choices
from tidegauge.model.labels import METRIC_NAME
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.query.listings import Scope
from tidegauge.web.access import require
from tidegauge.web.bodies import read_json
from tidegauge.web.compression import compressible_response
from tidegauge.web.context import services
from tidegauge.web.errors import json_response
from tidegauge.web.identity import current_principal
from tidegauge.web.openapi import describe
from tidegauge.web.params import InvalidParameter

MAX_METRICS = 1000
"""The metrics that are offered; each comes with its form, and others may be typed."""

MAX_TAGS = 10_000

blueprint = Blueprint("grafana_json", __name__, url_prefix="/grafana/json")


@blueprint.get("/")
@require("query:read")
@describe()
def test() -> Response:
    """Tell Grafana that the data source works."""
    return json_response({"status": "success", "message": "Tidegauge answers."})


@blueprint.post("/metrics")
@require("query:read")
@describe(body=MetricsBody)
def metrics() -> Response:
    """List the metrics, each with the form of its options."""
    body = read_json(MetricsBody, max_bytes=MAX_BODY_BYTES, or_empty=True)
    listings = services().listings
    names = listings.label_values(METRIC_NAME, Scope(limit=MAX_METRICS)).items
    selected = read_text(body.metric)
    if selected and selected not in names:
        names += listings.label_values(METRIC_NAME, Scope(also=(_named(selected),))).items
    form = [field.describe() for field in FIELDS]
    return json_response([{"label": name, "value": name, "payloads": form} for name in names])


@blueprint.post("/metric-payload-options")
@require("query:read")
@describe(body=PayloadOptionsBody)
def payload_options() -> Response:
    """List what may be chosen in one field of the form."""
    body = read_json(PayloadOptionsBody, max_bytes=MAX_BODY_BYTES, or_empty=True)
    field = next((field for field in FIELDS if field.name == body.name), None)
    if field is None:
        known = ", ".join(field.name for field in FIELDS)
        raise InvalidParameter("name", f'"{body.name[:64]}" is none of {known}')
    if field.name != "group_by":
        return json_response(describe_choices(field.choices or ()))
    metric = read_text(body.metric)
    also = (_named(metric),) if metric else ()
    names = services().listings.label_names(Scope(limit=MAX_TAGS, also=also)).items
    return json_response(describe_choices([name for name in names if name != METRIC_NAME]))


@blueprint.post("/query")
@require("query:read")
@describe(body=PanelBody)
def query() -> Response:
    """Answer the queries of one panel."""
    rendered = _answer(read_query_body())
    body = b"[%b]" % b",".join(one.frames for one in rendered if one.frames)
    if len(rendered) == 1:
        return compressible_response(body, keep=rendered[0].keep)
    return Response(body, mimetype="application/json")


@blueprint.post("/variable")
@require("query:read")
@describe(body=VariableBody)
def variable() -> Response:
    """List the values of a dashboard variable."""
    found = _look_up(read_json(VariableBody, max_bytes=MAX_BODY_BYTES, or_empty=True))
    return json_response([{"__text": text, "__value": text} for text in found])


@blueprint.route("/search", methods=["POST", "OPTIONS"])
@require("query:read")
@describe(body=VariableBody)
def search() -> Response:
    """List metrics, or the values of a variable, for older plugins."""
    if request.method == "OPTIONS":
        return _for_browsers(Response(status=204))
    found = _look_up(read_json(VariableBody, max_bytes=MAX_BODY_BYTES, or_empty=True))
    return _for_browsers(json_response(found))


@blueprint.post("/tag-keys")
@require("query:read")
@describe(body=TagsBody)
def tag_keys() -> Response:
    """List the labels that an ad-hoc filter may be on."""
    body = read_json(TagsBody, max_bytes=MAX_BODY_BYTES, or_empty=True)
    names = services().listings.label_names(_narrowed(body)).items
    return json_response(
        [{"type": "string", "text": name, "value": name} for name in names if name != METRIC_NAME]
    )


@blueprint.post("/tag-values")
@require("query:read")
@describe(body=TagsBody)
def tag_values() -> Response:
    """List the values of a label among what the other filters leave."""
    body = read_json(TagsBody, max_bytes=MAX_BODY_BYTES, or_empty=True)
    if not body.key:
        raise InvalidParameter("key", "it is missing; the name of a label is wanted")
    values = services().listings.label_values(body.key, _narrowed(body)).items
    return json_response([{"text": value, "value": value} for value in values])


@blueprint.route("/annotations", methods=["POST", "OPTIONS"])
@require("query:read")
@describe(body=AnnotationsBody)
def list_annotations() -> Response:
    """List marks for older plugins, which write tags into the query of an annotation."""
    if request.method == "OPTIONS":
        return _for_browsers(Response(status=204))
    held = services()
    body = read_json(AnnotationsBody, max_bytes=MAX_ANNOTATIONS_BODY_BYTES, or_empty=True)
    start_ms, end_ms = read_range(body.range, now_ms=held.clock_ms())
    found = find_by_tags(
        held.annotations,
        body.annotation or {},
        current_principal(),
        start_ms=start_ms,
        end_ms=end_ms,
    )
    return _for_browsers(json_response(found))


def _answer(body: PanelBody) -> Sequence[Rendered]:
    held = services()
    asked = [one for one in body.targets if not one.hide and _asks(one)]
    if not asked:
        return []
    now_ms = held.clock_ms()
    panel = Panel(
        query=held.query,
        parser=held.parser,
        annotations=held.annotations,
        principal=current_principal(),
        limits=held.config.query,
        monotonic=held.monotonic,
        body=body,
        now_ms=now_ms,
        filters=read_filters(body.filters or body.adhoc_filters, held.listings),
        variables=read_variables(body.scoped_vars),
    )
    return [panel.answer(target) for target in asked]


def _asks(target: PanelTarget) -> bool:
    return bool(read_text(target.target).strip()) or target.ref_id == ANNOTATIONS


def _look_up(body: VariableBody) -> list[str]:
    held = services()
    start_ms, end_ms = _read_open_range(body.range)
    lookup = Lookup(
        held.query, held.listings, start_ms=start_ms, end_ms=end_ms, now_ms=held.clock_ms()
    )
    payload = body.payload
    if isinstance(payload, dict) and "target" not in payload:
        return lookup.find_by_object(payload)
    target = payload.get("target") if isinstance(payload, dict) else payload or body.target
    if target is not None and not isinstance(target, str | int | float):
        raise InvalidParameter("target", "a text is wanted")
    return lookup.find_by_text(read_text(target))


def _narrowed(body: TagsBody) -> Scope:
    start_ms, end_ms = _read_open_range(body.time_range)
    also = read_filters(body.filters, services().listings, but_key=body.key)
    return Scope(start_ms=start_ms, end_ms=end_ms, limit=MAX_TAGS, also=also)


def _read_open_range(asked: TimeRange | None) -> tuple[int | None, int | None]:
    return (None, None) if asked is None else read_range(asked, now_ms=services().clock_ms())


def _named(name: str) -> Matcher:
    return Matcher(MatchType.EQUAL, METRIC_NAME, name)


def _for_browsers(response: Response) -> Response:
    """Let a page of another origin read an answer: it had no cookie to ask with."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Methods"] = "POST"
    response.headers["Access-Control-Allow-Headers"] = "accept, authorization, content-type"
    return response
