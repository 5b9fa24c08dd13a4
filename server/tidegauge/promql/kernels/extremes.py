"""max_over_time and min_over_time, and the times of these samples."""

from __future__ import annotations

import numpy as np

from tidegauge.promql.kernels.chunk import Chunk
from tidegauge.promql.kernels.doubling import State, combine_ranges, reduce_windows
from tidegauge.promql.kernels.points import Result


def max_over_time(chunk: Chunk) -> Result:
    """Return the largest value of each window; NaN only if there is nothing else."""
    return reduce_windows(np.fmax, chunk.values, chunk, np.nan), chunk.right > chunk.left


def min_over_time(chunk: Chunk) -> Result:
    """Return the smallest value of each window; NaN only if there is nothing else."""
    return reduce_windows(np.fmin, chunk.values, chunk, np.nan), chunk.right > chunk.left


def ts_of_max_over_time(chunk: Chunk) -> Result:
    """Return the time, in seconds, of the last of the largest samples of each window."""
    return _time_of(chunk, np.greater_equal)


def ts_of_min_over_time(chunk: Chunk) -> Result:
    """Return the time, in seconds, of the last of the smallest samples of each window."""
    return _time_of(chunk, np.less_equal)


def _time_of(chunk: Chunk, replaces: np.ufunc) -> Result:
    def combine(older: State, newer: State) -> State:
        kept = ~(replaces(newer[0], older[0]) | np.isnan(older[0]))
        return np.where(kept, older[0], newer[0]), np.where(kept, older[1], newer[1])

    samples = chunk.samples, chunk.times_ms
    lengths = chunk.right - chunk.left
    _, times_ms = combine_ranges(samples, chunk.left, lengths, (np.nan, 0), combine)
    return times_ms / 1000, lengths > 0
