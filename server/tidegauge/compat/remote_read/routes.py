"""The endpoint of remote read: `remote_read` of a Prometheus points here."""

from __future__ import annotations

import cramjam
from flask import Blueprint, Response

from tidegauge.compat.remote_read.wire import decode_request, encode_response
from tidegauge.ingest.decompress import decompress
from tidegauge.query.limits import check_answer
from tidegauge.web.access import require
from tidegauge.web.bodies import read_body
from tidegauge.web.context import services
from tidegauge.web.ingestion import BODY_SETTING
from tidegauge.web.openapi import describe

blueprint = Blueprint("remote_read", __name__)


@blueprint.post("/prometheus/api/v1/read")
@require("query:read")
@describe(answer="application/x-protobuf")
def read() -> Response:
    """Answer with raw samples, stale markers included."""
    held = services()
    max_bytes = held.config.ingest.max_body_bytes
    packed = read_body(max_bytes, setting=BODY_SETTING)
    # The one encoding there is; clients need not name it.
    reads = decode_request(decompress(packed, "snappy", max_bytes=max_bytes))
    selectors = [asked.matchers for asked in reads]
    with held.raw.open("remote read", selectors) as select:
        frames = [select(asked.matchers, asked.start_ms, asked.end_ms) for asked in reads]
        check_answer(sum(len(frame.times_ms) for frame in frames), held.config.query)
        body = encode_response(frames)
    response = Response(bytes(cramjam.snappy.compress_raw(body)), mimetype="application/x-protobuf")
    response.content_encoding = "snappy"
    return response
