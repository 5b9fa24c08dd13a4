"""`/api/v1/admin`: figures, health and running queries, for administrators. Source: SPEC §3, §9."""

from __future__ import annotations

from flask import Blueprint, Response

from tidegauge import __version__
from tidegauge.errors import Unavailable
from tidegauge.observability.health import Status
from tidegauge.observability.meters import Figures
from tidegauge.services import Services
from tidegauge.web.access import require
from tidegauge.web.changes import record_change
from tidegauge.web.context import services
from tidegauge.web.errors import json_response, not_ready_response
from tidegauge.web.openapi import describe

_BREAKER_STATES = ("closed", "half_open", "open")

blueprint = Blueprint("admin", __name__, url_prefix="/api/v1/admin")


@blueprint.get("/stats")
@require("admin:read")
def stats() -> Response:
    """Sum up what is stored, what came in, and what was asked."""
    held = services()
    held.sample_meters()
    figures = held.meters.figures()
    uptime_s = held.health.report().uptime_s
    body = {
        "version": __version__,
        "uptime_seconds": round(uptime_s, 3),
        "storage": _describe_storage(held),
        "ingestion": _describe_ingestion(figures, uptime_s),
        "dead_letters": _count_dead_letters(held),
        "queries": {
            "running": len(held.queries.own.list()),
            "answered": int(figures.total("query_requests_total")),
            "samples_read": int(figures.total("query_samples_total")),
        },
        "cache": {
            "hits": int(figures.total("cache_hits_total")),
            "misses": int(figures.total("cache_misses_total")),
        },
        "database": {
            "connections_active": int(figures.total("db_connections_active")),
            "connections_limit": int(figures.total("db_connections_limit")),
        },
        "circuit_breakers": {
            name: _BREAKER_STATES[int(state)]
            for name, state in figures.by_label("circuit_breaker_state", "name").items()
        },
    }
    return json_response({"data": body})


@blueprint.get("/health")
@require("admin:read")
def health() -> Response:
    """Say how every part is doing, as `/health` does, and whether requests may come."""
    held = services()
    report = held.health.report()
    body = {
        **report.body(__version__),
        "ready": held.accepting and report.ready,
        "process": held.queries.own.process_id,
    }
    return not_ready_response(body) if report.status is Status.UNHEALTHY else json_response(body)


@blueprint.get("/queries")
@require("admin:read")
def list_queries() -> Response:
    """List the queries that run or wait in all API processes, as far as they are known."""
    running = services().queries.list()
    data = [
        {
            "id": one.id,
            "kind": one.kind,
            "query": one.text,
            "started": one.started_ms,
            "took_ms": one.took_ms,
            "request_id": one.request_id,
            "client": one.client,
            "cancelled": one.cancelled,
        }
        for one in running.queries
    ]
    covers = f"process {running.process_id}" if running.process_id else "all processes"
    return json_response({"data": data, "covers": covers})


@blueprint.delete("/queries/<query_id>")
@require("admin:change")
@describe(status=204, answer="")
def cancel_query(query_id: str) -> Response:
    """End a query; whoever asked it gets 499."""
    services().queries.cancel(query_id)
    # Only now: it may be this query that leaves no connection to write the log with.
    record_change("query.cancel", f"query:{query_id}")
    return Response(status=204)


def _describe_storage(held: Services) -> dict[str, object]:
    try:
        totals = held.storage.catalogue.read_totals()
    except Unavailable as exc:
        # The other figures are worth the more while the database is away.
        return {"error": exc.message}
    return {
        "series": totals.series,
        "metrics": totals.metrics,
        "database_bytes": totals.bytes,
    }


def _count_dead_letters(held: Services) -> int | None:
    try:
        return held.queue.dead_letters.count()
    except Unavailable:
        return None


def _describe_ingestion(figures: Figures, uptime_s: float) -> dict[str, object]:
    points = figures.total("ingest_points_total")
    return {
        "points_accepted": int(points),
        "points_per_second": round(points / uptime_s, 3) if uptime_s > 0 else 0.0,
        "points_rejected": int(figures.total("ingest_rejected_points_total")),
        "queue_depth": int(figures.total("queue_depth")),
        "messages_dead_lettered": int(figures.total("ingest_messages_dead_lettered_total")),
    }
