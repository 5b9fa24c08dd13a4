"""What happens around every request: its id, its log line, compression, the last error handler."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack

import structlog
from flask import Flask, Response, g, request
from structlog.typing import FilteringBoundLogger
from werkzeug.exceptions import HTTPException

from tidegauge.errors import TidegaugeError
from tidegauge.observability.meters import Meters
from tidegauge.observability.tracing import span
from tidegauge.web.access import find_log_level
from tidegauge.web.client import client_address
from tidegauge.web.compression import compress
from tidegauge.web.errors import error_response, http_error_response, internal_error_response

REQUEST_ID_HEADER = "X-Request-ID"
TRACE_HEADER = "traceparent"
SLOW_REQUEST_MS = 2000

# Answers are data: nothing in them runs, none is framed or kept by a cache in between. A page of
# ours says itself what it needs. Source: OWASP, REST Security Cheat Sheet.
_SECURITY_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}", re.ASCII)


def install_lifecycle(
    app: Flask,
    *,
    log: FilteringBoundLogger,
    meters: Meters,
    monotonic: Callable[[], float],
    new_id: Callable[[], str],
) -> None:
    """Put ids, access log, compression and error handlers around every request of the app.

    Args:
        log: gets one line a request.
        meters: count requests by status.
        monotonic: the monotonic clock, seconds.
        new_id: makes the id of a request that brings none, or an odd one.
    """

    @app.before_request
    def _begin() -> None:
        g.started_s = monotonic()
        given = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = given if _SANE_ID.fullmatch(given) else new_id()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id, remote=client_address())
        _begin_span()

    @app.errorhandler(TidegaugeError)
    def _ours(error: TidegaugeError) -> Response:
        g.error = error.message
        return error_response(error)

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        return http_error_response(error)

    @app.errorhandler(Exception)
    def _unforeseen(error: Exception) -> Response:
        log.error("unhandled exception", path=request.path, exc_info=error)
        return internal_error_response()

    @app.after_request
    def _finish(response: Response) -> Response:
        compress(response)
        response.headers[REQUEST_ID_HEADER] = g.request_id
        for header, value in _SECURITY_HEADERS:
            response.headers.setdefault(header, value)
        meters.http_requests.labels(response.status_code).inc()
        _log(log, app, response, (monotonic() - g.started_s) * 1000)
        _note_status(response.status_code)
        return response

    @app.teardown_request
    def _end(_error: BaseException | None) -> None:
        # Not in after_request: the span must end even where an answer could not be made.
        if "spans" in g:
            g.spans.close()
        # The thread's next work may be no request, and must not be logged as this one.
        structlog.contextvars.clear_contextvars()


def _begin_span() -> None:
    g.spans = ExitStack()
    g.span = g.spans.enter_context(
        span(
            "http.request",
            parent=request.headers.get(TRACE_HEADER, ""),
            method=request.method,
            # The rule, not the path: a name with ids in it would be a name for each request.
            route=request.url_rule.rule if request.url_rule else "",
            request_id=g.request_id,
        )
    )


def _note_status(status: int) -> None:
    g.span.set("status", status)
    if status >= 500:
        g.span.fail(f"HTTP {status}")


def _log(log: FilteringBoundLogger, app: Flask, response: Response, took_ms: float) -> None:
    status = response.status_code
    if status >= 500 or took_ms >= SLOW_REQUEST_MS:
        write = log.warning
    elif status >= 400:
        write = log.info
    else:
        view = app.view_functions.get(request.endpoint) if request.endpoint else None
        write = log.debug if find_log_level(view) == "debug" else log.info
    fields = {"error": g.error} if "error" in g else {}
    write(
        "request",
        method=request.method,
        path=request.path,
        status=status,
        duration_ms=round(took_ms, 2),
        bytes_out=response.content_length,
        remote=client_address(),
        **fields,
    )
