"""How a view reaches the services, and what is known of the request at hand."""

from __future__ import annotations

from flask import Flask, current_app, g

from tidegauge.alerts.acknowledging import AcknowledgeService
from tidegauge.alerts.explain import Explainer
from tidegauge.alerts.maintenance import MaintenanceService
from tidegauge.alerts.muting_preview import MutingPreview
from tidegauge.alerts.routing import RoutingService
from tidegauge.alerts.service import AlertService
from tidegauge.alerts.silencing import SilenceService
from tidegauge.alerts.standing import Alertmanager
from tidegauge.errors import Unavailable
from tidegauge.services import Services
from tidegauge.services.dashboards import DashboardServices
from tidegauge.services.people import People
from tidegauge.storage.alert_statistics import AlertStatistics
from tidegauge.storage.outbox import Outbox

_EXTENSION = "tidegauge"


def attach_services(app: Flask, services: Services) -> None:
    """Make the services reachable from the app's views."""
    app.extensions[_EXTENSION] = services


def services() -> Services:
    """Return the services of the app that handles this request."""
    attached: Services = current_app.extensions[_EXTENSION]
    return attached


def people() -> People:
    """Return the accounts of the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().people
    if held is None:
        raise Unavailable("this server has no database for accounts")
    return held


def dashboards() -> DashboardServices:
    """Return the dashboards of the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().dashboards
    if held is None:
        raise Unavailable("this server has no database for dashboards")
    return held


def alerts() -> AlertService:
    """Return the alert rules of the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().alerts
    if held is None:
        raise Unavailable("this server has no database for alert rules")
    return held


def acknowledging() -> AcknowledgeService:
    """Return what acknowledges alerts in the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().acknowledging
    if held is None:
        raise Unavailable("this server has no database for acknowledgements")
    return held


def explainer() -> Explainer:
    """Return what explains alerts in the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().explainer
    if held is None:
        raise Unavailable("this server has no database for alert rules")
    return held


def alert_statistics() -> AlertStatistics:
    """Return the figures of alerts of the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().storage.alerts
    if held is None:
        raise Unavailable("this server has no database for alert rules")
    return held.statistics


def outbox() -> Outbox:
    """Return the notifications of the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().storage.alerts
    if held is None:
        raise Unavailable("this server has no database for notifications")
    return held.outbox


def silences() -> SilenceService:
    """Return the silences of the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().silences
    if held is None:
        raise Unavailable("this server has no database for silences")
    return held


def maintenance() -> MaintenanceService:
    """Return the maintenance windows of the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().maintenance
    if held is None:
        raise Unavailable("this server has no database for maintenance windows")
    return held


def muting_preview() -> MutingPreview:
    """Return what says which alerts would be muted.

    Raises:
        Unavailable: the app that handles this request has no alerts.
    """
    return MutingPreview(
        alerts=alerts(),
        list_posted=alertmanager().external.list_firing,
        clock_ms=services().clock_ms,
    )


def routing() -> RoutingService:
    """Return the routing of alerts of the app that handles this request.

    Raises:
        Unavailable: it has none.
    """
    held = services().routing
    if held is None:
        raise Unavailable("this server has no database for routes of alerts")
    return held


def alertmanager() -> Alertmanager:
    """Return what the app that handles this request has of an Alertmanager.

    Raises:
        Unavailable: it has nothing.
    """
    held = services().alertmanager
    if held is None:
        raise Unavailable("this server has no database for alerts")
    return held


def request_id() -> str:
    """Return the id of this request: the sender's own if it gave one, else one made here."""
    given: str = g.request_id
    return given
