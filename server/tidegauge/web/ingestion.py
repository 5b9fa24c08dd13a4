"""What all ingestion routes share: their requests are counted and timed, whatever the protocol."""

from __future__ import annotations

import functools
from collections.abc import Callable

from flask import Response, g
from werkzeug.exceptions import HTTPException

from tidegauge.errors import TidegaugeError
from tidegauge.web.context import services
from tidegauge.web.errors import error_response, http_error_response

BODY_SETTING = "TIDEGAUGE_INGEST_MAX_BODY_BYTES"


def measured(view: Callable[[], Response]) -> Callable[[], Response]:
    """Count the requests of an ingestion view by status, and time them."""

    @functools.wraps(view)
    def run() -> Response:
        held = services()
        before_s = held.monotonic()
        # Stays so when the view fails in a way that only the last handler answers.
        status = 500
        try:
            response = _answer(view)
            status = response.status_code
        finally:
            held.meters.ingest.request_answered(status, held.monotonic() - before_s)
        return response

    return run


def _answer(view: Callable[[], Response]) -> Response:
    try:
        return view()
    except TidegaugeError as exc:
        g.error = exc.message
        return error_response(exc)
    except HTTPException as exc:
        return http_error_response(exc)
