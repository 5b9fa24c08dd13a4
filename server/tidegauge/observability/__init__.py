"""How the product shows what it does.

- `meters`: the instruments behind `/metrics`, right under one process and several;
  `ingest_instruments`: those of ingestion and its writer; `cache_instruments`: those of the caches;
  `resilience_instruments`: those of circuit breakers and rate limits; `alert_instruments`: those of
  the evaluator; `notification_instruments`: those of the delivery of notifications.
- `upkeep_instruments`: what the evaluator that leads sees of the whole installation.
- `process_slot`: a name for this process that its successor gets again.
- `logs`: JSON lines.
- `tracing`: spans, which any room may begin; `trace_export`: where they go.
- `health`: named checks, and the body that sums them up.
- `exposition`: an HTTP server of health and instruments, for processes without an API.

Every instrument, logger and clock is passed in; nothing here is global but the tracer.
Every room above may enter.
"""

from __future__ import annotations
