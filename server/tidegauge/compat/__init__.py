"""Other people's protocols, exactly as their clients expect them.

- `prometheus_api`: the Prometheus HTTP API under `/prometheus/api/v1`: queries and listings.
  `prometheus_params`: its parameters; `prometheus_json`: its answers.
- `prometheus_rules`: its rules and alerts; `prometheus_rule_groups` shapes them.
- `prometheus_expressions`: its formatted and parsed queries; `prometheus_tree`: how a tree looks.
- `federate`: the latest samples in the text format, for another Prometheus to scrape.
- `remote_read`: raw samples for another Prometheus's queries.
- `grafana_json`: the JSON data source of Grafana, below `/grafana/json`. Its parts:
  `grafana_json_body` (what is sent), `grafana_json_payload` (options and their forms),
  `grafana_json_variables` (dashboard variables), `grafana_json_filters` (ad-hoc filters),
  `grafana_json_targets` (to PromQL), `grafana_json_panel` (one request), `grafana_json_frames`
  (answers), `grafana_json_annotations` (marks and events), `grafana_json_lookup` (what fills
  variables).
- `alertmanager_api`: Alertmanager's API below `/alertmanager`, alerts in and out;
  `alertmanager_silences`: its silences. `alertmanager_params`: what is asked; `alertmanager_json`:
  the answers; `alertmanager_config`: the routes as its configuration.
- `remote_write`: where Prometheus servers and agents push to.

Only `app` enters, to register the blueprints.
Source: grafana-contract in the design notes; Prometheus 3.14.
"""

from __future__ import annotations
