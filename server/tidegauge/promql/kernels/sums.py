"""sum_over_time and avg_over_time.

Prometheus adds up from left to right and keeps what rounding loses. A balanced tree is nearly
as accurate for values of one sign, and where terms cancel out the window is added up again
as Prometheus does it.
Source: promql.md §5, "Kahan parity".
"""

from __future__ import annotations

import numpy as np

from tidegauge.promql.kernels.chunk import Chunk
from tidegauge.promql.kernels.doubling import reduce_windows
from tidegauge.promql.kernels.lockstep import add_compensated_ranges
from tidegauge.promql.kernels.points import Result
from tidegauge.promql.kernels.reference import REFERENCES
from tidegauge.promql.kernels.scalar import evaluate_where, find_overflowed

# A tree of 2**20 terms is off by at most 20 * 2**-53 of the sum of their magnitudes.
CANCELLED = 1e-6
ONE_BY_ONE_CELLS = 16


def sum_over_time(chunk: Chunk) -> Result:
    """Return the sum of each window."""
    total = _add_up(chunk)
    _redo(chunk, "sum_over_time", total, total)
    return total, chunk.right > chunk.left


def avg_over_time(chunk: Chunk) -> Result:
    """Return the mean of each window."""
    total = _add_up(chunk)
    mean = total / (chunk.right - chunk.left)
    _redo(chunk, "avg_over_time", total, mean)
    return mean, chunk.right > chunk.left


def _add_up(chunk: Chunk) -> np.ndarray:
    return reduce_windows(np.add, chunk.values, chunk, 0.0)


def _redo(chunk: Chunk, name: str, total: np.ndarray, result: np.ndarray) -> None:
    """Compute anew the windows whose sum cannot be trusted."""
    samples = chunk.samples
    doubtful = find_overflowed(chunk, total)
    if not ((samples >= 0).all() or (samples <= 0).all()):
        magnitude = reduce_windows(np.add, np.abs(chunk.values), chunk, 0.0)
        doubtful |= np.abs(total) < CANCELLED * magnitude
    rows, steps = np.nonzero(doubtful)
    if len(rows) <= ONE_BY_ONE_CELLS:
        evaluate_where(REFERENCES[name], chunk, doubtful, result)
        return
    left, right = chunk.left[rows, steps], chunk.right[rows, steps]
    lengths = right - left
    total, lost = add_compensated_ranges(samples, left, lengths, chunk.check)
    if name == "sum_over_time":
        result[rows, steps] = np.where(np.isinf(total), total, total + lost)
        return
    result[rows, steps] = total / lengths + lost / lengths
    doubtful[rows, steps] = np.isinf(total)
    evaluate_where(REFERENCES[name], chunk, doubtful, result)
