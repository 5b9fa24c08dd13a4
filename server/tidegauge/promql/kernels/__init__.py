"""The array functions of the PromQL engine: columns in, columns over (series, steps) out.

- `windows`: the windows of a range selector over the time grid, and where they begin and end
  in the samples of a series.
- `instant`: the newest sample per step.
- `ranges`: the face of all range functions. Its families, each a function of a `chunk`: `points`,
  `rates`, `sums`, `extremes`, `moments`, `orders`, `smoothing`. Their techniques: `doubling` for
  long windows, `lockstep` where every value depends on the one before.
- `reference`: the same functions over one window in plain Python, the authority for all above;
  `scalar` leads from a chunk to it.
- `extended`: the `anchored` and `smoothed` forms, with `extended_reference`.
- `elementwise`, `dates`: functions of one sample.
- `histogram`: quantile and fraction of classic histograms, with `histogram_reference`.

A cell whose `present` is False has a value without meaning (NaN from the range functions).
Source: promql.md §4 to §6 in the design notes.
"""

from __future__ import annotations
