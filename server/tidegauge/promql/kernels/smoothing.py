"""double_exponential_smoothing: every value depends on the one before."""

from __future__ import annotations

import numpy as np

from tidegauge.promql.kernels.chunk import Chunk
from tidegauge.promql.kernels.lockstep import longest_first, walk
from tidegauge.promql.kernels.points import Result


def double_exponential_smoothing(chunk: Chunk) -> Result:
    """Return the last value of Holt's linear smoothing; parameters: smoothing and trend factor."""
    lengths = chunk.right - chunk.left
    present = lengths > 1
    rows, steps = np.nonzero(present)
    order = longest_first(lengths[rows, steps])
    rows, steps = rows[order], steps[order]
    smoothing, trend_factor = chunk.params[0][steps], chunk.params[1][steps]
    before, smoothed, trend = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
    walked = walk(chunk.samples, chunk.left[rows, steps], lengths[rows, steps], chunk.check)
    for position, (reaching, terms) in enumerate(walked):
        if position == 0:
            smoothed[:] = terms
            continue
        factor, weight = smoothing[:reaching], trend_factor[:reaching]
        if position == 1:
            trend[:] = terms - smoothed
        else:
            rise = smoothed[:reaching] - before[:reaching]
            trend[:reaching] = weight * rise + (1 - weight) * trend[:reaching]
        expected = smoothed[:reaching] + trend[:reaching]
        before[:reaching] = smoothed[:reaching]
        smoothed[:reaching] = factor * terms + (1 - factor) * expected
    values = np.full(present.shape, np.nan)
    values[rows, steps] = smoothed
    return values, present
