"""The one door to data: parse, limit, read, evaluate, keep. API, Grafana and alerts all come here.

- `service`: QueryService, with instant and range queries.
- `listings`: series, label names and values, metrics and their metadata.
- `raw`: samples as they are stored, within the same limits.
- `parsing`: text to tree, with a bounded memo; parse errors with line and column.
- `admission`: deadlines, places among the running, measurements, the slow-query log.
- `running`: the questions of this moment, to be listed and cancelled; `all_running`: those of all
  API processes.
- `limits`: what a query may cost, and the budgeted reader that holds it to that.
- `result_cache`: answers kept for a while, and identical queries that run once; `result_codec`:
  results as bytes; `flight`: one does the work, the others wait; `freshness`: which kept answers
  were overtaken by writes.
- `times`: times and durations as the two APIs write them. Pure.

`services` builds it; routes call `service`, `listings`, `raw`, `parsing` and `all_running`, and
read times by `times`.
"""

from __future__ import annotations
