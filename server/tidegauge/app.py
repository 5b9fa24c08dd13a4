"""The Flask application: every blueprint, behind one guard."""

from __future__ import annotations

from flask import Flask

from tidegauge.api import (
    admin,
    alert_acknowledgements,
    alert_backtest,
    alert_explain,
    alert_notifications,
    alert_routing,
    alert_statistics,
    alerts,
    audit,
    auth,
    dashboard_versions,
    dashboards,
    dead_letters,
    folders,
    grafana_alerts,
    health,
    maintenance_windows,
    metrics,
    query,
    reference,
    rule_files,
    silences,
    tokens,
    users,
)

# By its own name `annotations` would be the feature of `__future__` in the package.
from tidegauge.api.annotations import blueprint as annotations_blueprint
from tidegauge.auth.principal import LOCAL, STRANGER, Principal
from tidegauge.compat import (
    alertmanager_api,
    alertmanager_silences,
    federate,
    grafana_json,
    prometheus_api,
    prometheus_expressions,
    prometheus_rules,
    remote_write,
)
from tidegauge.compat.remote_read import routes as remote_read
from tidegauge.services import Services
from tidegauge.web.access import install_guard
from tidegauge.web.client import Clients, install_clients
from tidegauge.web.context import attach_services
from tidegauge.web.identity import Known, install_identity
from tidegauge.web.lifecycle import install_lifecycle
from tidegauge.web.rate_limits import install_rate_limits

BLUEPRINTS = (
    health.blueprint,
    metrics.blueprint,
    query.blueprint,
    annotations_blueprint,
    alerts.blueprint,
    alert_backtest.blueprint,
    rule_files.blueprint,
    silences.blueprint,
    maintenance_windows.blueprint,
    alert_routing.blueprint,
    alert_notifications.blueprint,
    alert_acknowledgements.blueprint,
    alert_explain.blueprint,
    alert_statistics.blueprint,
    grafana_alerts.blueprint,
    dashboards.blueprint,
    dashboard_versions.blueprint,
    folders.blueprint,
    dead_letters.blueprint,
    admin.blueprint,
    auth.blueprint,
    users.blueprint,
    tokens.blueprint,
    audit.blueprint,
    reference.blueprint,
    prometheus_api.blueprint,
    prometheus_expressions.blueprint,
    prometheus_rules.blueprint,
    federate.blueprint,
    remote_read.blueprint,
    remote_write.blueprint,
    grafana_json.blueprint,
    alertmanager_api.blueprint,
    alertmanager_silences.blueprint,
)


def create_app(services: Services, *, local: Principal | None = None) -> Flask:
    """Return the application.

    Args:
        services: what it serves, started; whoever built them closes them.
        local: who programs on this machine are; by default what the settings say.
    """
    app = Flask("tidegauge", static_folder=None)
    # G94's streaming parser needs `resultType` before `result`: never sort keys.
    app.json.sort_keys = False  # type: ignore[attr-defined]
    # No redirects, whose Location would name an internal host, and no second spelling of a path.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    install_clients(app, Clients.from_config(services.config.access))
    install_lifecycle(
        app,
        log=services.log,
        meters=services.meters,
        monotonic=services.monotonic,
        new_id=services.new_id,
    )
    if local is None:
        local = LOCAL if services.config.access.loopback == "open" else STRANGER
    identities = services.people.identities if services.people is not None else None
    install_identity(app, Known(identities, local))
    install_guard(app)
    install_rate_limits(app, services.config.limits, services.limiter, services.meters.resilience)
    attach_services(app, services)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app
