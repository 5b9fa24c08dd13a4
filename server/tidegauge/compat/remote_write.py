"""Prometheus remote write: where servers and agents push to.

Source: SPEC §2; the Prometheus remote write specification 1.0. A 2xx means committed. What is
wrong with a request is 400 and not sent again; what is wrong with us is 503, never 4xx.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from tidegauge.errors import InvalidInput, PayloadTooLarge
from tidegauge.web.access import require
from tidegauge.web.bodies import read_body
from tidegauge.web.context import request_id, services
from tidegauge.web.ingestion import BODY_SETTING, measured
from tidegauge.web.openapi import describe

blueprint = Blueprint("remote_write", __name__)


@blueprint.post("/prometheus/api/v1/write")
@blueprint.post("/api/v1/write")
@require("metrics:write", log_level="debug")
@describe(status=204, answer="")
@measured
def write() -> Response:
    """Take the samples of one push."""
    held = services()
    body = read_body(held.config.ingest.max_body_bytes, setting=BODY_SETTING)
    try:
        held.ingest.ingest_remote_write(
            body,
            request.content_encoding or "",
            request.content_type or "",
            request_id(),
            held.clock_ms(),
        )
    except PayloadTooLarge as exc:
        # A body that says it unpacks to too much is malformed, as Prometheus has it.
        raise InvalidInput(exc.message) from exc
    return Response(status=204)
