"""quantile_over_time and mad_over_time: the samples of the windows side by side, sorted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.promql.kernels.chunk import Chunk
from tidegauge.promql.kernels.lockstep import longest_first
from tidegauge.promql.kernels.points import Result

BLOCK_VALUES = 1 << 16

# From the samples (W, longest), padded with NaN, their numbers (W,) and the steps (W,).
BlockFunction = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def quantile_over_time(chunk: Chunk) -> Result:
    """Return the quantile given by the parameter of each window."""
    q = chunk.params[0]
    return _by_blocks(chunk, lambda values, lengths, steps: _quantile(q[steps], values, lengths))


def mad_over_time(chunk: Chunk) -> Result:
    """Return the median absolute deviation of each window; NaN if any sample is."""

    def deviation(values: np.ndarray, lengths: np.ndarray, steps: np.ndarray) -> np.ndarray:
        half = np.full(len(lengths), 0.5)
        holds_nan = np.count_nonzero(~np.isnan(values), axis=1) < lengths
        distance = np.abs(values - _quantile(half, values, lengths)[:, None])
        return np.where(holds_nan, np.nan, _quantile(half, distance, lengths))

    return _by_blocks(chunk, deviation)


def _by_blocks(chunk: Chunk, function: BlockFunction) -> Result:
    lengths = chunk.right - chunk.left
    present = lengths > 0
    rows, steps = np.nonzero(present)
    # Windows of like length stand together, so that little is spent on padding.
    order = longest_first(lengths[rows, steps])
    rows, steps = rows[order], steps[order]
    left, sizes = chunk.left[rows, steps], lengths[rows, steps]
    result = np.full(present.shape, np.nan)
    first = 0
    while first < len(rows):
        chunk.check()
        longest = int(sizes[first])
        block = slice(first, first + max(1, BLOCK_VALUES // longest))
        inside = np.arange(longest)
        values = chunk.samples.take(left[block, None] + inside, mode="clip")
        values[inside >= sizes[block, None]] = np.nan
        result[rows[block], steps[block]] = function(values, sizes[block], steps[block])
        first = block.stop
    return result, present


def _quantile(q: np.ndarray, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the q-quantile of each row; NaN sorts as the smallest value."""
    ordered = np.sort(values, axis=1)  # NaN and the padding last
    nans = lengths - np.count_nonzero(~np.isnan(ordered), axis=1)
    rank = q * (lengths - 1)
    valid = (q >= 0) & (q <= 1)
    whole = np.floor(np.where(valid, rank, 0.0))
    lower = whole.astype(np.int64)
    upper = np.minimum(lengths - 1, lower + 1)
    at = np.arange(len(values))
    low = np.where(lower < nans, np.nan, ordered[at, np.maximum(lower - nans, 0)])
    high = np.where(upper < nans, np.nan, ordered[at, np.maximum(upper - nans, 0)])
    weight = rank - whole
    return np.where(
        valid,
        low * (1 - weight) + high * weight,
        np.where(np.isnan(q), np.nan, np.copysign(np.inf, q)),
    )
