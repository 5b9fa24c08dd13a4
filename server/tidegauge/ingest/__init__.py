"""Takes samples in: decodes, validates, admits, publishes, and writes what was published.

On the way in, in this order:
- `decompress`: the body, within its limit.
- `json_points` and `remote_write/`: from bytes to columns, by the form in which labels arrive.
- `registry`: series known by that form, so that known labels are never decoded.
- `label_rules`: what a label set may be.
- `admission` and `cardinality`: unknown series are looked up, and admitted within limits.
- `codec`: the batch as bytes of a message; `split`: a large one in parts.
- `service`: the IngestService, which does all this and waits until the samples are durable.
- `writer`: the BatchWriter, which moves messages into storage, all or nothing; `batch_log` names
  messages in its log lines and spans.
- `own_metrics`: the product's own instruments, sent the same way.
- `guarded`: the publisher behind a circuit breaker.
- `dead_letters`: messages that could not be stored, as people see them.
- `meter`, `outcomes`, `errors`: what it tells instruments, callers and senders.

Rooms above use `service`, `writer`, `dead_letters`, `outcomes`, `errors` and `meter`.
"""

from __future__ import annotations
