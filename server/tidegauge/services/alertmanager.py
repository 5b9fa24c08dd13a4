"""What speaks Alertmanager's language: alerts that others post, and all that fire."""

from __future__ import annotations

from tidegauge.alerts.external import GRACE_MS, ExternalAlertService
from tidegauge.alerts.muting import Mutings
from tidegauge.alerts.routing import CurrentRouting
from tidegauge.alerts.service import AlertService
from tidegauge.alerts.standing import Alertmanager, StandingAlerts
from tidegauge.config import Config
from tidegauge.services.parts import AlertTables, Tools


def make_mutings(tools: Tools, tables: AlertTables) -> Mutings:
    """Return what reads what keeps alerts quiet."""
    return Mutings(silences=tables.silences, windows=tables.windows, log=tools.log)


def make_routing(tools: Tools, tables: AlertTables) -> CurrentRouting:
    """Return what reads whom to tell."""
    return CurrentRouting(routes=tables.routes, log=tools.log)


def make_external(config: Config, tools: Tools, tables: AlertTables) -> ExternalAlertService:
    """Return what takes in the alerts of others, and does what time asks of them."""
    return ExternalAlertService(
        alerts=tables.external,
        silences=make_mutings(tools, tables),
        read_routing=make_routing(tools, tables).read,
        timeout_ms=config.alerts.resolve_timeout_s * 1000,
        most=config.alerts.posted_max,
        grace_ms=GRACE_MS,
        log=tools.log,
    )


def make_alertmanager(
    config: Config, tools: Tools, tables: AlertTables, rules: AlertService
) -> Alertmanager:
    """Return what the routes below `/alertmanager` work on."""
    external, read_routing = make_external(config, tools, tables), make_routing(tools, tables).read
    standing = StandingAlerts(
        rules=rules,
        external=external,
        silences=make_mutings(tools, tables),
        read_routing=read_routing,
        timeout_ms=config.alerts.resolve_timeout_s * 1000,
        clock_ms=tools.clock_ms,
    )
    return Alertmanager(external, standing, read_routing)
