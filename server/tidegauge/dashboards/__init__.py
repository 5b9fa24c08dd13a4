"""Dashboards: what they are, who may change them, and Grafana's JSON in and out.

A dashboard is kept as classic Grafana JSON, whole, whatever Tidegauge knows of it.

- `grafana_json`: finding one's way in such a document. `grafana_import`: taking one in.
- `grafana_queries`: its PromQL; `grafana_variables`: Grafana's variables in it.
- `grafana_diff`: what two of them differ in. `grid`: where panels lie.
- `dashboard_view`, `panel_view`: the same as Tidegauge's API shows it, and back. `kinds`: the
  seven types of panels; `grafana_upgrade`: panels of the old kinds as today's.
- `service`: made, found, changed, deleted; `panels`: single ones; `history`: the versions;
  `folders`. Behind them `access` (who may), `reads` (the cache), `guarded` (the breaker),
  `turns` (one change at a time).
- `files`: dashboards in files, read, checked and written. `provisioning`: a folder of them, kept
  loaded; `merge`: edits put over a new edition of a file.
- `validation`: what a dashboard has to keep to. `errors`: what can be wrong.

`services` wires it, `api` and `cli` use it.
"""

from __future__ import annotations
