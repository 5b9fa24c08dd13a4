"""From error family to HTTP status and body: the only place that knows HTTP statuses.

Four shapes: the native API answers `{"error", "code", "request_id"[, "position"]}`, everything
under `/prometheus` what Prometheus answers, everything under `/alertmanager` a text, and everything
under `/grafana/json` what the JSON data source shows: `message` in panels, `error` when it is
tested.
Source: SPEC §3 and §13, grafana-contract §1 and §2.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response, request
from werkzeug.exceptions import HTTPException

from tidegauge.auth.login import LockedOut, WrongPassword
from tidegauge.dashboards.errors import PreconditionFailed, StaleVersion, VersionMissing
from tidegauge.errors import (
    Cancelled,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    QueryFailed,
    TidegaugeError,
    Unavailable,
)
from tidegauge.ingest.errors import UnsupportedMedia
from tidegauge.ingest.outcomes import JsonOutcome
from tidegauge.query.limits import TooManyPoints
from tidegauge.query.parsing import QuerySyntaxError
from tidegauge.web.context import request_id
from tidegauge.web.identity import Unauthenticated
from tidegauge.web.rate_limits import RateLimited
from tidegauge.web.rendering import dump_json

PROMETHEUS_PREFIX = "/prometheus/"
ALERTMANAGER_PREFIX = "/alertmanager/"
GRAFANA_JSON_PATH = "/grafana/json"


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    prometheus_type: str
    prometheus_status: int | None = None
    grafana_status: int | None = None


_TABLE: dict[type[TidegaugeError], _Row] = {
    PayloadTooLarge: _Row(413, "bad_data"),
    UnsupportedMedia: _Row(415, "bad_data"),
    InvalidInput: _Row(400, "bad_data"),
    NotFound: _Row(404, "not_found"),
    PreconditionFailed: _Row(412, "bad_data"),
    VersionMissing: _Row(428, "bad_data"),
    Conflict: _Row(409, "bad_data"),
    # Prometheus refuses these with its parameters, before it evaluates anything.
    TooManyPoints: _Row(422, "bad_data", 400),
    QueryFailed: _Row(422, "execution"),
    DeadlineExceeded: _Row(503, "timeout"),
    # Not a registered status; Prometheus took it over from nginx for exactly this.
    Cancelled: _Row(499, "canceled"),
    RateLimited: _Row(429, "too_many_requests"),
    Unavailable: _Row(503, "unavailable"),
    LockedOut: _Row(429, "too_many_requests"),
    WrongPassword: _Row(401, "unauthenticated"),
    # Grafana's proxy keeps the body of a 401 to itself, and so the reason from whoever asks.
    Unauthenticated: _Row(401, "unauthenticated", grafana_status=403),
    Forbidden: _Row(403, "forbidden"),
    TidegaugeError: _Row(500, "internal"),
}

_HTTP_CODES = {
    400: "bad_data",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def error_response(error: TidegaugeError) -> Response:
    """Return the answer to an error of our own."""
    row = next(_TABLE[family] for family in type(error).__mro__ if family in _TABLE)
    if request.path.startswith(PROMETHEUS_PREFIX):
        status = row.prometheus_status or row.status
        response = _prometheus(status, row.prometheus_type, error.message)
    elif request.path.startswith(ALERTMANAGER_PREFIX):
        response = json_response(error.message, row.status)
    elif _is_grafana_json():
        response = _grafana_json(row.grafana_status or row.status, error.code, error.message)
    else:
        response = _native(row.status, error.code, error.message, _position(error))
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, StaleVersion):
        response.headers["ETag"] = f'"{error.current}"'
    if isinstance(error, Unauthenticated) and response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="tidegauge"'
    return response


def http_error_response(error: HTTPException) -> Response:
    """Return the answer to what werkzeug refuses: unknown paths, wrong methods, long bodies."""
    status = error.code or 500
    # A redirect of werkzeug's would name an internal host; there is nothing at this path.
    if status < 400:
        status = 404
    message = _describe(error, status)
    code = _HTTP_CODES.get(status, "bad_data" if status < 500 else "internal")
    if request.path.startswith(PROMETHEUS_PREFIX):
        known = code if code in ("not_found", "internal") else "bad_data"
        response = _prometheus(status, known, message)
    elif request.path.startswith(ALERTMANAGER_PREFIX):
        response = json_response(message, status)
    elif _is_grafana_json():
        response = _grafana_json(status, code, message)
    else:
        response = _native(status, code, message, None)
    if status == 405:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
    return response


def internal_error_response() -> Response:
    """Return the answer to a fault of ours; what went wrong is in the log, under the same id."""
    message = f"internal error; the log has it under request id {request_id()}"
    if request.path.startswith(PROMETHEUS_PREFIX):
        return _prometheus(500, "internal", message)
    if request.path.startswith(ALERTMANAGER_PREFIX):
        return json_response(message, 500)
    if _is_grafana_json():
        return _grafana_json(500, "internal", message)
    return _native(500, "internal", message, None)


def _describe(error: HTTPException, status: int) -> str:
    if status == 404:
        return f"there is nothing at {request.path}"
    if status == 405:
        return f"{request.method} is not possible at {request.path}"
    return error.description or error.name


def _position(error: TidegaugeError) -> dict[str, int] | None:
    if not isinstance(error, QuerySyntaxError):
        return None
    return {
        "start": error.start,
        "end": error.end,
        "line": error.line,
        "column": error.column,
    }


def _native(status: int, code: str, message: str, position: dict[str, int] | None) -> Response:
    body: dict[str, object] = {"error": message, "code": code, "request_id": request_id()}
    if position is not None:
        body["position"] = position
    return json_response(body, status)


def _prometheus(status: int, error_type: str, message: str) -> Response:
    return json_response({"status": "error", "errorType": error_type, "error": message}, status)


def _is_grafana_json() -> bool:
    return f"{request.path}/".startswith(f"{GRAFANA_JSON_PATH}/")


def _grafana_json(status: int, code: str, message: str) -> Response:
    error = {"code": code, "message": message}
    return json_response({"message": message, "error": error, "request_id": request_id()}, status)


def json_response(body: object, status: int = 200) -> Response:
    """Return a JSON response; keys stay in the order in which they were put in."""
    return json_bytes_response(dump_json(body), status)


def json_bytes_response(body: bytes, status: int = 200) -> Response:
    """Return a response of JSON that is bytes already."""
    return Response(body, status, mimetype="application/json")


def created_response(body: object, path: str) -> Response:
    """Return the answer to a thing that was made, and where it is."""
    response = json_response(body, 201)
    response.headers["Location"] = path
    return response


def not_ready_response(body: object) -> Response:
    """Return the answer of a health route that has bad news."""
    return json_response(body, 503)


def outcome_response(outcome: JsonOutcome) -> Response:
    """Return the answer to points, some of which may have been refused: 400 if all were."""
    body = {
        "accepted": outcome.accepted,
        "rejected": outcome.rejected,
        "errors": outcome.errors,
    }
    return json_response(body, 400 if outcome.rejected and not outcome.accepted else 202)
