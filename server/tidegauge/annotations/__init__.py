"""Marks on the time axis: deployments, incidents, whatever explains a change in a curve.

- `service`: sets, lists and deletes them, within limits and for whom it is allowed.
- `grafana_alerts`: Grafana's own alerts, as marks.

`services` builds it; `api` and the Grafana adapter in `compat` show it.
"""

from __future__ import annotations
