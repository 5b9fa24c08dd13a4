"""The evaluation engine: a syntax tree over a time grid, all steps of a node at once.

- `engine`, `options`: the face, `Engine(EngineOptions()).evaluate(…)`.
- `prepare`, `durations`: what is done to a tree once per query.
- `evaluator`, `context`: the walk over the tree, and what its parts share.
- `selectors`, `ranges`: from samples to vectors, and functions of range vectors.
- `functions`, `absence`, `relabel`, `sorting`, `histograms`, `info`: functions of instant
  vectors.
- `binary`, `matching`, `sets`: operators.
- `grouping`, `aggregate`, `sums`, `selection`, `heaps`, `sampling`, `counting`: aggregations.
- `mixed`, `native_aggregate`, `native_matching`, `native_ranges`, `native_selection`,
  `native_series`: the same for native histograms, sample by sample.
- `vectors`, `notes`, `goformat`, `errors`: helpers of all of them.

Arrays are float64 or bool of shape (series, steps) throughout and are never written to once
they are part of a vector: a subtree with one value for all steps is a view of one column.
Source: promql.md §4 to §6.
"""

from __future__ import annotations

from tidegauge.promql.engine.engine import Engine
from tidegauge.promql.engine.options import EngineOptions

__all__ = ["Engine", "EngineOptions"]
