"""What PromQL does with native histograms, one or two at a time.

- `arithmetic`: addition, subtraction, scaling, comparison; `zero_buckets`: zero buckets of
  different widths made one.
- `starts`: whether the start of a sample says that it counts anew.
- `rates`: rate, increase, delta; `extension`: the same, anchored or smoothed.
- `totals`: compensated sums and means of many.
- `resets`: whether a counter was reset between two.
- `quantiles`: quantiles and fractions; `moments`: mean and deviation.
- `trimming`: what is above or below a value cut off.
- `texts`: how Prometheus prints them; `notes`: what is said of them.
- `windows`: the samples of one window, and what a function makes of them.
- `conversion`: histograms with custom buckets from classic ones.

Source: Prometheus `model/histogram`, `promql/quantile.go`.
"""

from __future__ import annotations
