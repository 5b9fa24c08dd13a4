"""Selectors and subqueries: from samples to vectors and windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Evaluation, Grid
from tidegauge.promql.engine.durations import whole_ms
from tidegauge.promql.engine.native_selection import (
    find_resets,
    forget_resets,
    histograms_at,
    smooth_histograms,
    starts_at,
)
from tidegauge.promql.engine.vectors import make_vector
from tidegauge.promql.kernels.extended import extend_window, smooth_instant
from tidegauge.promql.kernels.instant import select_instant
from tidegauge.promql.kernels.windows import Windows, drop_stale
from tidegauge.promql.reader import SelectHints
from tidegauge.promql.value import Vector


@dataclass(frozen=True, slots=True)
class RangeVector:
    """The samples and windows of a range selector or subquery.

    Args:
        frame: the samples, without stale markers.
        windows: one per step.
        drop_name: bool, shape (S,): names that an inner function wants dropped at the end.
    """

    frame: SeriesFrame
    windows: Windows
    drop_name: np.ndarray


def data_times_ms(shift: nodes.TimeShift, grid: Grid) -> np.ndarray:
    """Return the time in the data that each step looks at: int64, shape (T,), Unix ms."""
    offset_ms = whole_ms(shift.offset_ns)
    if shift.at_ms is None:
        return grid.steps_ms - offset_ms
    return np.full(grid.count, shift.at_ms - offset_ms)


def select_vector(
    evaluation: Evaluation, selector: nodes.VectorSelector, grid: Grid
) -> tuple[Vector, np.ndarray]:
    """Return an instant selector's vector, and the samples' own times: int64, shape (S, T)."""
    _, vector, times_ms = _select_newest(evaluation, selector, grid)
    return vector, times_ms


def select_starts(
    evaluation: Evaluation, selector: nodes.VectorSelector, grid: Grid
) -> tuple[Vector, np.ndarray]:
    """Return an instant selector's vector, and when its samples began: int64, shape (S, T)."""
    frame, vector, times_ms = _select_newest(evaluation, selector, grid)
    if frame.starts_ms is None:
        return vector, np.zeros(vector.present.shape, np.int64)
    return vector, starts_at(frame, vector.present, times_ms)


def _select_newest(
    evaluation: Evaluation, selector: nodes.VectorSelector, grid: Grid
) -> tuple[SeriesFrame, Vector, np.ndarray]:
    query = evaluation.query
    ends_ms = data_times_ms(selector.shift, grid)
    first_ms = int(ends_ms[0]) - query.lookback_ms + 1
    hints = SelectHints(step_ms=grid.step_ms)
    frame = query.select(selector.matchers, first_ms, int(ends_ms[-1]), hints)
    frame = _know_resets(selector, frame)
    query.require_points("selector", len(frame.labels), grid.count)
    values, present, times_ms = select_instant(frame, ends_ms, query.lookback_ms, query.check)
    vector = make_vector(frame.labels, values, present)
    if frame.histograms is not None:
        vector.histograms = histograms_at(frame, present, times_ms)
    return frame, vector, times_ms


def select_smoothed(evaluation: Evaluation, selector: nodes.VectorSelector, grid: Grid) -> Vector:
    """Return the vector of an instant selector under `smoothed`."""
    query = evaluation.query
    ends_ms = data_times_ms(selector.shift, grid)
    first_ms = int(ends_ms[0]) - query.lookback_ms + 1
    last_ms = int(ends_ms[-1]) + query.lookback_ms
    hints = SelectHints(step_ms=grid.step_ms)
    frame = drop_stale(query.select(selector.matchers, first_ms, last_ms, hints))
    query.require_points("selector", len(frame.labels), grid.count)
    values, present = smooth_instant(frame, ends_ms, query.lookback_ms)
    vector = make_vector(frame.labels, values, present)
    if frame.histograms is not None:
        smooth_histograms(query, selector, frame, ends_ms, vector)
    return vector


def _know_resets(selector: nodes.VectorSelector, frame: SeriesFrame) -> SeriesFrame:
    # Where buckets are not asked for Prometheus reads without them, and says of each histogram
    # whether a reset was before it.
    if not selector.only_totals or frame.histograms is None:
        return frame
    return replace(frame, histograms=find_resets(frame))


def extension_of(expr: nodes.Expr) -> str:
    """Return "anchored" or "smoothed" where a range selector has it, else ""."""
    return expr.selector.extension if isinstance(expr, nodes.MatrixSelector) else ""


def select_range(evaluation: Evaluation, expr: nodes.Expr, grid: Grid, func: str) -> RangeVector:
    """Return the samples and windows of a range selector or subquery.

    Args:
        func: the function around it, "" for none.
    Returns:
        Of an anchored or smoothed selector, also the samples within the lookback around.
    """
    if isinstance(expr, nodes.Subquery):
        return _select_subquery(evaluation, expr, grid)
    assert isinstance(expr, nodes.MatrixSelector)
    query, extension = evaluation.query, expr.selector.extension
    range_ms = whole_ms(expr.range_ns)
    ends_ms = data_times_ms(expr.selector.shift, grid)
    before_ms = query.lookback_ms if extension else 0
    after_ms = query.lookback_ms if extension == "smoothed" else 0
    frame = query.select(
        expr.selector.matchers,
        int(ends_ms[0]) - range_ms - before_ms + 1,
        int(ends_ms[-1]) + after_ms,
        SelectHints(func=func, step_ms=grid.step_ms, range_ms=range_ms),
    )
    frame = _know_resets(expr.selector, frame)
    query.require_points("range selector", len(frame.labels), grid.count)
    windows = Windows(grid.steps_ms, ends_ms, range_ms)
    return RangeVector(drop_stale(frame), windows, np.zeros(len(frame.labels), bool))


def select_whole_range(
    evaluation: Evaluation, expr: nodes.MatrixSelector, grid: Grid
) -> SeriesFrame:
    """Return the samples of a range selector at the top of an instant query."""
    ranges = select_range(evaluation, expr, grid, "")
    extension, windows = expr.selector.extension, ranges.windows
    if not extension:
        return ranges.frame
    end_ms = int(windows.ends_ms[0])
    return extend_window(
        ranges.frame, extension, end_ms - windows.range_ms, end_ms, evaluation.query.lookback_ms
    )


def _select_subquery(evaluation: Evaluation, expr: nodes.Subquery, grid: Grid) -> RangeVector:
    windows = Windows(grid.steps_ms, data_times_ms(expr.shift, grid), whole_ms(expr.range_ns))
    inner = subquery_grid(evaluation, expr, grid)
    if not inner.count:
        return RangeVector(SeriesFrame.empty(), windows, np.zeros(0, bool))
    vector = evaluation.vector(expr.expr, inner)
    frame = flatten(vector, inner)
    if frame.histograms is not None:
        # The steps leave out samples between which a reset may have been.
        frame = replace(frame, histograms=forget_resets(frame.histograms))
    return RangeVector(frame, windows, vector.drop_name)


def subquery_grid(evaluation: Evaluation, expr: nodes.Subquery, grid: Grid) -> Grid:
    """Return the one grid that serves the windows of all outer steps; it may have no step.

    Its steps are absolute multiples of the subquery's step, later than the first window's start.
    Raises:
        TooManyPoints: it has too many steps.
    Source: promql.md §6 (SUBQUERY).
    """
    options = evaluation.query.options
    step_ms = whole_ms(expr.step_ns) or options.subquery_step_ms
    ends_ms = data_times_ms(expr.shift, grid)
    start_ms = int(ends_ms[0]) - whole_ms(expr.range_ns)
    # Every multiple later than the start; flooring makes that hold for negative times too.
    first_ms = (start_ms // step_ms + 1) * step_ms
    count = max(0, (int(ends_ms[-1]) - first_ms) // step_ms + 1)
    evaluation.query.require_points("subquery", 1, count)
    return Grid(first_ms + step_ms * np.arange(count, dtype=np.int64), step_ms)


def flatten(vector: Vector, grid: Grid) -> SeriesFrame:
    """Return a vector over its grid as samples, one after another."""
    offsets = np.zeros(len(vector.labels) + 1, np.int64)
    np.cumsum(vector.present.sum(axis=1), out=offsets[1:])
    times_ms = np.broadcast_to(grid.steps_ms, vector.present.shape)
    histograms = None if vector.histograms is None else vector.histograms[vector.present]
    return SeriesFrame(
        vector.labels,
        offsets,
        times_ms[vector.present],
        vector.values[vector.present],
        histograms,
    )
