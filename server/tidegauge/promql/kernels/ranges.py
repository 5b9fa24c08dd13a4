"""The face of the range functions: one call per function over all series and steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.kernels import extremes, moments, orders, points, rates, smoothing, sums
from tidegauge.promql.kernels.chunk import Chunk, take_chunk
from tidegauge.promql.kernels.points import Result
from tidegauge.promql.kernels.reference import REFERENCES
from tidegauge.promql.kernels.scalar import evaluate_cells
from tidegauge.promql.kernels.windows import Windows, plan_edges

# Below both, the references are fast enough, and agree with Prometheus to the last bit.
TINY_CELLS = 64
TINY_VISITS = 4_096

# What keeps the temporary arrays of a chunk in the cache.
CHUNK_CELLS = 1 << 15
CHUNK_SAMPLES = 1 << 18

_KERNELS: dict[str, Callable[[Chunk], Result]] = {
    kernel.__name__: kernel
    for kernel in (
        rates.rate, rates.increase, rates.delta,
        points.irate, points.idelta, points.changes, points.resets,
        points.count_over_time, points.present_over_time,
        points.first_over_time, points.last_over_time,
        points.ts_of_first_over_time, points.ts_of_last_over_time,
        sums.sum_over_time, sums.avg_over_time,
        extremes.min_over_time, extremes.max_over_time,
        extremes.ts_of_min_over_time, extremes.ts_of_max_over_time,
        moments.stddev_over_time, moments.stdvar_over_time, moments.deriv, moments.predict_linear,
        orders.quantile_over_time, orders.mad_over_time,
        smoothing.double_exponential_smoothing,
    )
}  # fmt: skip

RANGE_FUNCTIONS = frozenset(_KERNELS)

# These share the work between windows, and so gain from cuts finer than their edges.
_SLOTTED = frozenset(
    {
        "sum_over_time", "avg_over_time", "min_over_time", "max_over_time",
        "stddev_over_time", "stdvar_over_time", "deriv", "predict_linear",
    }
)  # fmt: skip
_DEPENDS_ON_STEP = frozenset(
    {"predict_linear", "quantile_over_time", "double_exponential_smoothing"}
)


def apply_range_function(
    name: str,
    frame: SeriesFrame,
    windows: Windows,
    params: tuple[np.ndarray, ...],
    check: Callable[[], None],
) -> Result:
    """Apply a range function to every series and window.

    Args:
        name: one of RANGE_FUNCTIONS.
        frame: the samples, stale markers already dropped.
        windows: T windows.
        params: the scalar arguments, float64 of shape (T,) each.
        check: called between chunks of series; what it raises ends the work.
    Returns:
        values float64 (S, T), NaN where there is none; present bool (S, T).
    Source: promql.md §5 and §6.
    """
    series = len(frame.offsets) - 1
    if windows.count > 1 and windows.all_equal and name not in _DEPENDS_ON_STEP:
        once = Windows(windows.eval_ms[:1], windows.ends_ms[:1], windows.range_ms)
        values, present = apply_range_function(name, frame, once, params, check)
        return np.repeat(values, windows.count, axis=1), np.repeat(present, windows.count, axis=1)
    if not series or not windows.count or not len(frame.times_ms):
        shape = series, windows.count
        return np.full(shape, np.nan), np.zeros(shape, bool)
    with np.errstate(all="ignore"):
        most_visits = len(frame.times_ms) * windows.count
        if series * windows.count < TINY_CELLS and most_visits < TINY_VISITS:
            check()
            chunk = take_chunk(frame, 0, series, plan_edges(windows), windows, params, check)
            return evaluate_cells(REFERENCES[name], chunk)
        return _by_chunks(name, frame, windows, params, check)


def _by_chunks(
    name: str,
    frame: SeriesFrame,
    windows: Windows,
    params: tuple[np.ndarray, ...],
    check: Callable[[], None],
) -> Result:
    kernel, series = _KERNELS[name], len(frame.offsets) - 1
    density = len(frame.times_ms) // series
    plan = plan_edges(windows, most_cuts=density if name in _SLOTTED else 0)
    size = max(1, min(CHUNK_CELLS // len(plan.cuts_ms), CHUNK_SAMPLES // max(1, density)))
    values = np.empty((series, windows.count))
    present = np.empty((series, windows.count), bool)
    for first in range(0, series, size):
        check()
        end = min(series, first + size)
        chunk = take_chunk(frame, first, end, plan, windows, params, check)
        values[first:end], present[first:end] = kernel(chunk)
    np.copyto(values, np.nan, where=~present)
    return values, present
