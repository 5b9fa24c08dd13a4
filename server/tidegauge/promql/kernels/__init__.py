"""The array functions of the PromQL engine: columns in, columns over (series, steps) out.

- `windows`: the windows of a range selector over the time grid, and where they begin and end
  in the samples of a series.
- `instant`: the newest sample per step.
- `ranges`: the face of all range functions; `rates`, `sums`, `extremes`, `moments`, `orders`,
  `smoothing` and `points` are its families, `doubling` the technique for long windows.
- `extended`: the `anchored` and `smoothed` forms of range functions.
- `reference`: the same functions over one window in plain Python, the authority for all above.
- `elementwise`, `dates`: functions of one sample.
- `histogram`: quantile and fraction of classic histograms.

A cell whose `present` is False has a value without meaning (NaN from the range functions).
"""

from __future__ import annotations
