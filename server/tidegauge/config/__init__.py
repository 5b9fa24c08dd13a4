"""The settings: one frozen tree, read once from the environment, all faults reported together.

- `declare`: how one setting is declared, with its variable, default, bounds and help text.
- `product`: what the product does; `pipeline`: the parts around it; `access`: who is let in;
  `notify`: how people are told of alerts.
- `loading`: the tree, and how an environment becomes one.

`cli.settings_page` makes the reference page in `docs/` from the same declarations. Nothing else
reads the environment. Every room enters, by this package's own names.
"""

from __future__ import annotations

from tidegauge.config.access import AccessConfig, parse_networks, parse_secret
from tidegauge.config.loading import (
    SECTIONS,
    Config,
    leaves,
    load_config,
    mask_secret,
    show_settings,
)
from tidegauge.config.notify import NotifyConfig, parse_address, parse_allowed_networks
from tidegauge.config.pipeline import (
    AlertsConfig,
    BreakerConfig,
    BrokerConfig,
    CacheConfig,
    LimitsConfig,
    TraceConfig,
    WorkerConfig,
)
from tidegauge.config.product import (
    DashboardsConfig,
    DatabaseConfig,
    HttpConfig,
    IngestConfig,
    LogConfig,
    QueryConfig,
)

__all__ = [
    "SECTIONS",
    "AccessConfig",
    "AlertsConfig",
    "BreakerConfig",
    "BrokerConfig",
    "CacheConfig",
    "Config",
    "DashboardsConfig",
    "DatabaseConfig",
    "HttpConfig",
    "IngestConfig",
    "LimitsConfig",
    "LogConfig",
    "NotifyConfig",
    "QueryConfig",
    "TraceConfig",
    "WorkerConfig",
    "leaves",
    "load_config",
    "mask_secret",
    "parse_address",
    "parse_allowed_networks",
    "parse_networks",
    "parse_secret",
    "show_settings",
]
