"""The routes as a configuration of Alertmanager: what Grafana and amtool read of it.

Channels are left out: an address may hold a password, or be one.
Source: prometheus.io/docs/alerting/latest/configuration.
"""

from __future__ import annotations

import yaml

from tidegauge.compat.alertmanager_json import NOBODY
from tidegauge.model.routing import Route, Routing, format_matcher
from tidegauge.promql.durations import NS_PER_MS, format_duration


def write_config(routing: Routing) -> str:
    """Return routes and the names of receivers as YAML."""
    route = {"receiver": NOBODY} if routing.root is None else _shape_route(routing.root)
    config = {"route": route, "receivers": [{"name": name} for name in receiver_names(routing)]}
    return str(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def receiver_names(routing: Routing) -> list[str]:
    """Return the names of the receivers; there is always one."""
    return list(routing.receivers) or [NOBODY]


def _shape_route(route: Route) -> dict[str, object]:
    shaped: dict[str, object] = {
        "receiver": route.receiver,
        "group_by": ["..."] if route.group_by is None else sorted(route.group_by),
        "group_wait": _duration(route.wait_ms),
    }
    # Alertmanager takes no zero for these, and has a default where they are missing.
    if route.interval_ms:
        shaped["group_interval"] = _duration(route.interval_ms)
    if route.repeat_ms:
        shaped["repeat_interval"] = _duration(route.repeat_ms)
    if route.matchers:
        shaped["matchers"] = [format_matcher(one) for one in route.matchers]
    if route.goes_on:
        shaped["continue"] = True
    if route.routes:
        shaped["routes"] = [_shape_route(one) for one in route.routes]
    return shaped


def _duration(time_ms: int) -> str:
    return format_duration(time_ms * NS_PER_MS)
