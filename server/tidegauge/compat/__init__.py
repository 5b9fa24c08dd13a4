"""Other people's protocols, exactly as their clients expect them.

- `prometheus_api`: the Prometheus HTTP API under `/prometheus/api/v1`.
- `prometheus_params`: its parameters; `prometheus_json`: its answers.
- `remote_write`: where Prometheus servers and agents push to.

Only `app` enters, to register the blueprints.
Source: grafana-contract in the design notes; Prometheus 3.14.
"""

from __future__ import annotations
