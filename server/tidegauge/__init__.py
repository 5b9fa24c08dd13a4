"""Tidegauge: metrics, dashboards and alerts in the PostgreSQL its users already run.

The rooms from the top; a room enters those below it, never one beside or above:
- `cli`: the commands. `app`: the Flask factory.
- `api`, `compat`: routes, ours and other people's. `web`: what routes share.
- `services`: the one place that wires.
- `dashboards`: dashboards, their versions, Grafana's JSON. `annotations`: marks on the time axis.
  `alerts`: rules, when they fire, and who is told.
- `query`: the one door to data. `ingest`: the way in for samples.
- `auth`: who somebody is, and what they may do.
- `promql`: the language. `storage`: all SQL. `broker`: from accepting to storing.
- `cache`: answers kept for a while. `resilience`: circuit breakers, rate limits.
- `observability`: instruments, logs, health.
- `model`: plain data. `config`: the settings. `errors`: the families of errors.
"""

from __future__ import annotations

__version__ = "0.1.0"
