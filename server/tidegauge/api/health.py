"""Health, probes, and the exposition of our own instruments. Source: SPEC §9."""

from __future__ import annotations

from flask import Blueprint, Response

from tidegauge import __version__
from tidegauge.observability.health import Status
from tidegauge.observability.meters import CONTENT_TYPE
from tidegauge.web.access import require
from tidegauge.web.context import services
from tidegauge.web.errors import json_response, not_ready_response
from tidegauge.web.openapi import describe

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
@require("system:read", log_level="debug")
def health() -> Response:
    """Say how every part is doing."""
    report = services().health.report()
    body = report.body(__version__)
    if report.status is Status.UNHEALTHY:
        return not_ready_response(body)
    return json_response(body)


@blueprint.get("/health/live")
@require("health:probe", log_level="debug")
def live() -> Response:
    """Say that this process answers."""
    return json_response({"status": "alive"})


@blueprint.get("/health/ready")
@require("health:probe", log_level="debug")
def ready() -> Response:
    """Say whether requests will be served now."""
    held = services()
    if held.accepting and held.health.report().ready:
        return json_response({"status": "ready"})
    return not_ready_response({"status": "not ready"})


@blueprint.get("/metrics")
@require("system:read", log_level="debug")
@describe(answer="text/plain")
def metrics() -> Response:
    """Expose our instruments to Prometheus."""
    held = services()
    held.sample_meters()
    return Response(held.meters.render(), content_type=CONTENT_TYPE)
