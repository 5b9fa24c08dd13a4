"""Plain data that all rooms share: labels, matchers, sample batches and frames.

- `labels`: a label set as a sorted tuple of pairs, and the few operations on it.
- `matchers`: one label matcher, compiled with RE2 and fast paths for literals.
- `batch`: samples on their way in, as columns.
- `frame`: samples on their way out, as columns.
- `histogram`: a native histogram.
- `annotations`: marks on the time axis.
- `alerts`: alert rules, and how far each of their label sets has come; `silences`: of which of them
  nobody is told; `maintenance`: when that is so by plan; `routing`: who is told of the others.
- `recording`: recording rules, and the groups of a rule file.
- `external_alerts`: alerts that others post.
- `stale`: the bit pattern of a stale marker.
- `floats`: how Go, and so Prometheus, prints a float.
- `protobuf`: fields of messages that are written by hand.

Nothing here does I/O, reads a clock or knows a setting.
"""

from __future__ import annotations
