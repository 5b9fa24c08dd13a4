"""Rate limits at the door: who makes too many requests a minute is told when to come back.

Programs on this machine are not limited, unless a proxy forwards their requests. Source: SPEC §8.
"""

from __future__ import annotations

import hashlib

from flask import Flask, Response, g, request

from tidegauge.config import LimitsConfig
from tidegauge.errors import Unavailable
from tidegauge.observability.resilience_instruments import ResilienceInstruments
from tidegauge.resilience.ratelimit import RateLimiter, Verdict
from tidegauge.web.access import find_permission, is_loopback_address
from tidegauge.web.client import client_address, has_token, is_forwarded

_KINDS = {"metrics:write": "ingest", "query:read": "query"}
_SETTINGS = {
    "ingest": "TIDEGAUGE_RATE_INGEST_PER_MINUTE",
    "query": "TIDEGAUGE_RATE_QUERY_PER_MINUTE",
    "token": "TIDEGAUGE_RATE_TOKEN_QUERY_PER_MINUTE",
}


class RateLimited(Unavailable):
    """The sender made too many requests; the same one may pass later."""

    code = "rate_limited"


def install_rate_limits(
    app: Flask, config: LimitsConfig, limiter: RateLimiter, meter: ResilienceInstruments
) -> None:
    """Count requests before they are served, and say on each answer what is left."""

    @app.before_request
    def _count() -> None:
        view = app.view_functions.get(request.endpoint) if request.endpoint else None
        kind = _KINDS.get(find_permission(view) or "")
        if kind is None or (is_loopback_address(request.remote_addr or "") and not is_forwarded()):
            return
        # Of a person's own limit there will be one with accounts; a token serves many people.
        by_token = kind == "query" and has_token()
        per_minute = {
            "ingest": config.ingest_per_minute,
            "query": config.token_query_per_minute if by_token else config.query_per_minute,
        }[kind]
        g.rate = limiter.check(kind, _name_sender(by_token=by_token), per_minute)
        if g.rate is not None and not g.rate.allowed:
            meter.rejected(kind)
            setting = _SETTINGS["token" if by_token else kind]
            raise RateLimited(
                f"more than {per_minute} requests a minute from one sender ({setting})",
                retry_after_s=g.rate.reset_s,
            )

    @app.after_request
    def _tell(response: Response) -> Response:
        verdict: Verdict | None = g.get("rate")
        if verdict is not None:
            response.headers["RateLimit-Limit"] = str(verdict.limit)
            response.headers["RateLimit-Remaining"] = str(verdict.remaining)
            response.headers["RateLimit-Reset"] = str(verdict.reset_s)
        return response


def _name_sender(*, by_token: bool) -> str:
    if not by_token:
        return client_address()
    given = request.headers.get("Authorization", "")
    return "token-" + hashlib.sha256(given.encode()).hexdigest()[:16]
