"""rate, increase and delta: the difference over a window, extrapolated to its limits.

Source: promql.md §6 (RATE); the order of the operations is that of `reference`.
"""

from __future__ import annotations

import numpy as np

from tidegauge.promql.kernels.chunk import Chunk
from tidegauge.promql.kernels.doubling import add, combine_ranges
from tidegauge.promql.kernels.lockstep import longest_first, walk
from tidegauge.promql.kernels.points import Result

# Up to one fall in so many cells, falls are added one by one.
CELLS_PER_FALL = 64
# With more, it is a gauge rather than a counter, and the order of adding is given up for speed.
FALLS_IN_ORDER_PER_CELL = 64


def rate(chunk: Chunk) -> Result:
    """Return the increase per second of each window."""
    return _extrapolated(chunk, counter=True, per_second=True)


def increase(chunk: Chunk) -> Result:
    """Return the increase of a counter over each window."""
    return _extrapolated(chunk, counter=True, per_second=False)


def delta(chunk: Chunk) -> Result:
    """Return the difference of a gauge over each window."""
    return _extrapolated(chunk, counter=False, per_second=False)


def _extrapolated(chunk: Chunk, *, counter: bool, per_second: bool) -> Result:
    windows = chunk.windows
    at_last = chunk.right - 1
    intervals = at_last - chunk.left
    first = chunk.values.take(chunk.left, mode="clip")
    first_ms = chunk.times_ms.take(chunk.left, mode="clip")
    result = chunk.values.take(at_last, mode="clip")
    last_ms = chunk.times_ms.take(at_last, mode="clip")
    result -= first
    if counter:
        _add_resets(chunk, result)
    sampled_s = (last_ms - first_ms) / 1000
    average_s = sampled_s / intervals
    threshold_s = average_s * 1.1
    first_ms -= windows.ends_ms - windows.range_ms
    to_start_s = first_ms / 1000
    np.subtract(windows.ends_ms, last_ms, out=last_ms)
    to_end_s = last_ms / 1000
    average_s /= 2
    np.copyto(to_start_s, average_s, where=to_start_s >= threshold_s)
    np.copyto(to_end_s, average_s, where=to_end_s >= threshold_s)
    if counter:
        # A counter was never negative: do not extrapolate beyond the point where it was zero.
        to_zero_s = first / result
        to_zero_s *= sampled_s
        nearer = to_zero_s < to_start_s
        nearer &= result > 0
        nearer &= first >= 0
        np.copyto(to_start_s, to_zero_s, where=nearer)
    to_start_s += sampled_s
    to_start_s += to_end_s
    to_start_s /= sampled_s
    if per_second:
        to_start_s /= windows.range_ms / 1000
    result *= to_start_s
    return result, intervals > 0


def _add_resets(chunk: Chunk, result: np.ndarray) -> None:
    """Add to the differences what the counters had reached before each fall in their window."""
    samples = chunk.samples
    fallen = np.flatnonzero(samples[1:] < samples[:-1]) + 1
    if len(fallen):
        add_reached(
            samples, fallen[~np.isin(fallen, chunk.starts)], chunk.left, chunk.right, result
        )


def add_reached(
    samples: np.ndarray,
    fallen: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    result: np.ndarray,
) -> None:
    """Add to each cell the values before the falls between the samples of its range.

    Args:
        samples: float64, shape (n,).
        fallen: int64, rising: each sample that is less than the one before, in its series.
        left, right: int64, shape (C, T): begin and end (exclusive) of each range; rising from
            cell to cell and from series to series.
        result: float64, shape (C, T), contiguous, changed in place.
    """
    reached = samples[fallen - 1]
    if len(fallen) * CELLS_PER_FALL <= result.size:
        flat = result.reshape(-1)
        # As both edges rise, the ranges with both samples of a fall are neighbours.
        begins = right.ravel().searchsorted(fallen, side="right").tolist()
        ends = left.ravel().searchsorted(fallen - 1, side="right").tolist()
        for begin, end, value in zip(begins, ends, reached.tolist(), strict=True):
            if begin < end:
                flat[begin:end] += value
        return
    marks = np.zeros(len(samples) + 1, np.int64)
    marks[fallen + 1] = 1
    before = np.cumsum(marks)  # how many falls are before each sample
    begins = before.take(left + 1, mode="clip")
    lengths = before.take(right, mode="clip") - begins
    if lengths.sum() > FALLS_IN_ORDER_PER_CELL * lengths.size:
        (raised,) = combine_ranges((reached,), begins, np.maximum(lengths, 0), (0.0,), add)
        result += raised
        return
    cells = np.flatnonzero(lengths.ravel() > 0)
    cells = cells[longest_first(lengths.ravel()[cells])]
    raised = result.ravel()[cells]
    for reaching, terms in walk(reached, begins.ravel()[cells], lengths.ravel()[cells]):
        raised[:reaching] += terms
    result.reshape(-1)[cells] = raised
