"""The native API, one file a subject; thin.

- `metrics`: ingestion, the list of metrics, and their tags.
- `query`: PromQL in a JSON body; `query_json` writes its answers.
- `annotations`: marks on the time axis.
- `alerts`: alert rules and their history; `alert_notifications`: who was told of them;
  `alert_acknowledgements`: who takes them on; `alert_explain`: why somebody was told or not;
  `alert_backtest`: what a rule would have done; `alert_statistics`: how often, how soon.
  `rule_files`: the rules as a file.
- `alert_routing`: whom they are told to, by their labels.
- `silences`: alerts of which nobody is told for a while; `maintenance_windows`: by plan;
  `matchers`: which these are.
- `dashboards`: dashboards and panels; `dashboard_versions`: what was saved of them; `folders`.
  `dashboard_answers` writes them, `schemas` says what bodies are.
- `dead_letters`: messages that could not be stored.
- `admin`: figures, health and running queries, for administrators.
- `grafana_alerts`: Grafana's own alerts come back.
- `auth`: log-in and log-out. `users`, `tokens`, `audit`: for administrators.
- `reference`: OpenAPI, and a page to read it, from `templates/`.
- `health`: health, probes and the exposition of our own instruments.

Only `app` enters, to register the blueprints.
"""

from __future__ import annotations
