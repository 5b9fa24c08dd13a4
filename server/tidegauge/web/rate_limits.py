"""Rate limits at the door: who makes too many requests a minute is told when to come back.

Ingestion is counted by address, queries by person or token; programs on the machine of an
embedded server are not limited. Source: SPEC §8.
"""

from __future__ import annotations

from flask import Flask, Response, g, request

from tidegauge.config import LimitsConfig
from tidegauge.errors import Unavailable
from tidegauge.observability.resilience_instruments import ResilienceInstruments
from tidegauge.resilience.ratelimit import RateLimiter, Verdict
from tidegauge.web.access import find_counted_as
from tidegauge.web.client import client_address
from tidegauge.web.identity import current_principal

_KINDS = {
    "metrics:write": "ingest",
    "alert:post": "ingest",
    "annotation:create": "ingest",
    "query:read": "query",
    "annotation:read": "query",
}
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
        kind = _KINDS.get(find_counted_as(view))
        if kind is None or current_principal().kind == "local":
            return
        sender = current_principal()
        # A token serves many people, who have their own limit where Grafana names them.
        by_token = kind == "query" and sender.kind == "token"
        per_minute = {
            "ingest": config.ingest_per_minute,
            "query": config.token_query_per_minute if by_token else config.query_per_minute,
        }[kind]
        g.rate = limiter.check(
            kind, sender.key if kind == "query" else client_address(), per_minute
        )
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
