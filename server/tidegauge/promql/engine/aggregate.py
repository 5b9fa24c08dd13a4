"""Aggregations with one result per group: sum, avg, min, max, count, group, stddev, quantile.

Source: promql.md §6 (AGGREGATE); Prometheus `engine.aggregation`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Evaluation, Grid, Query
from tidegauge.promql.engine.counting import count_values
from tidegauge.promql.engine.grouping import Groups, RankWalk, group_series, is_thin
from tidegauge.promql.engine.native_aggregate import aggregate_histograms
from tidegauge.promql.engine.notes import invalid_quantile
from tidegauge.promql.engine.selection import SELECTIONS, select_series
from tidegauge.promql.engine.sums import close_sums, group_means, group_sums
from tidegauge.promql.engine.vectors import floats_only, histogram_cells, present_rows
from tidegauge.promql.value import Vector


def evaluate_aggregate(evaluation: Evaluation, expr: nodes.Aggregate, grid: Grid) -> Vector:
    """Return an aggregation at every step.

    Raises:
        EvaluationFailed: a parameter has no usable value.
    """
    vector = evaluation.vector(expr.expr, grid)
    if expr.op == "count_values":
        return count_values(evaluation.query, expr, vector)
    param = None if expr.param is None else evaluation.scalar(expr.param, grid)
    groups = group_series(vector.labels, expr.grouping, expr.without, evaluation.query.check)
    if expr.op in SELECTIONS:
        assert param is not None
        return select_series(evaluation.query, expr, vector, groups, param)
    if vector.histograms is not None and histogram_cells(vector).any():
        if expr.op in ("sum", "avg"):
            return aggregate_histograms(evaluation.query, expr, vector, groups)
        if expr.op not in ("count", "group"):
            vector, groups = _ignore_histograms(evaluation.query, expr, vector)
    if expr.op == "quantile":
        assert param is not None
        _warn_of_quantiles(evaluation, expr, param)
    counts = _present_counts(vector, groups)
    present = counts > 0
    if expr.op == "quantile":
        assert param is not None
        values = _quantiles(vector, groups, param)
    else:
        values = _REDUCTIONS[expr.op](vector, groups, np.maximum(counts, 1.0))
    return Vector(groups.labels, values, present, _drop_flags(vector, groups))


def _ignore_histograms(
    query: Query, expr: nodes.Aggregate, vector: Vector
) -> tuple[Vector, Groups]:
    query.notes.inform(f"ignored histogram in {expr.op} aggregation", expr.expr.span)
    floats = floats_only(vector)
    return floats, group_series(floats.labels, expr.grouping, expr.without, query.check)


def _present_counts(vector: Vector, groups: Groups) -> np.ndarray:
    steps = vector.present.shape[1]
    if vector.present.all():
        sizes = np.diff(groups.starts).astype(np.float64)
        return np.repeat(sizes[:, None], steps, axis=1)
    if is_thin(vector, groups):
        ordered = vector.present[groups.order].astype(np.float64)
        return np.add.reduceat(ordered, groups.starts[:-1], axis=0)
    counts = np.zeros((groups.count, steps))
    walk = RankWalk(vector, groups)
    for chunk in walk.chunks():
        found = np.zeros((len(chunk), steps))
        for active, _, present in walk.ranks(chunk, 0.0):
            found[:active] += True if present is None else present
        counts[chunk] = found
    return counts


def _drop_flags(vector: Vector, groups: Groups) -> np.ndarray:
    if not vector.drop_name.any():
        return np.zeros(groups.count, bool)
    dropped = vector.drop_name & present_rows(vector)
    return np.bincount(groups.ids, dropped, groups.count) > 0


def _sum(vector: Vector, groups: Groups, counts: np.ndarray) -> np.ndarray:
    return close_sums(*group_sums(vector, groups))


def _extreme(choose: np.ufunc) -> Callable[..., np.ndarray]:
    def extreme(vector: Vector, groups: Groups, counts: np.ndarray) -> np.ndarray:
        if is_thin(vector, groups):
            ordered = np.where(vector.present, vector.values, np.nan)[groups.order]
            thin: np.ndarray = choose.reduceat(ordered, groups.starts[:-1], axis=0)
            return thin
        result = np.full(counts.shape, np.nan)
        walk = RankWalk(vector, groups)
        for chunk in walk.chunks():
            chosen = result[chunk]
            for active, values, _ in walk.ranks(chunk, np.nan):
                choose(chosen[:active], values, out=chosen[:active])
            result[chunk] = chosen
        return result

    return extreme


def _variance(vector: Vector, groups: Groups, counts: np.ndarray) -> np.ndarray:
    """Return the population variance by Welford's method."""
    if is_thin(vector, groups):
        return _variance_of_cells(vector, groups, counts)
    result = np.zeros(counts.shape)
    walk = RankWalk(vector, groups)
    for chunk in walk.chunks():
        seen, mean, squares = (np.zeros((len(chunk), counts.shape[1])) for _ in range(3))
        for active, values, present in walk.ranks(chunk, 0.0):
            here = True if present is None else present
            seen[:active] += here
            distance = values - mean[:active]
            step = distance / np.maximum(seen[:active], 1.0)
            mean[:active] += np.where(here, step, 0.0)
            squares[:active] += np.where(here, distance * (values - mean[:active]), 0.0)
        result[chunk] = squares
    variance: np.ndarray = result / counts
    return variance


def _variance_of_cells(vector: Vector, groups: Groups, counts: np.ndarray) -> np.ndarray:
    result = np.zeros(counts.shape)
    for group, step in np.ndindex(counts.shape):
        groups.check()
        rows = groups.rows(group)
        mean = squares = 0.0
        values = vector.values[rows, step][vector.present[rows, step]].tolist()
        for count, value in enumerate(values, start=1):
            distance = value - mean
            mean += distance / count
            squares += distance * (value - mean)
        result[group, step] = squares / counts[group, step]
    return result


def _deviation(vector: Vector, groups: Groups, counts: np.ndarray) -> np.ndarray:
    deviation: np.ndarray = np.sqrt(_variance(vector, groups, counts))
    return deviation


def _count(vector: Vector, groups: Groups, counts: np.ndarray) -> np.ndarray:
    return counts


def _ones(vector: Vector, groups: Groups, counts: np.ndarray) -> np.ndarray:
    return np.ones(counts.shape)


_REDUCTIONS: dict[str, Callable[[Vector, Groups, np.ndarray], np.ndarray]] = {
    "sum": _sum, "avg": group_means, "min": _extreme(np.fmin), "max": _extreme(np.fmax),
    "count": _count, "group": _ones, "stdvar": _variance, "stddev": _deviation,
}  # fmt: skip


def _warn_of_quantiles(evaluation: Evaluation, expr: nodes.Aggregate, param: np.ndarray) -> None:
    assert expr.param is not None
    notes, span = evaluation.query.notes, expr.param.span
    # Over a range only the worst parameters are named. A NaN hides all others but infinities,
    # as it does in Go's math.Max and math.Min.
    least = -np.inf if np.isneginf(param).any() else float(np.min(param))
    greatest = np.inf if np.isposinf(param).any() else float(np.max(param))
    if np.isnan(param).any():
        notes.warn(invalid_quantile(np.nan), span)
    if greatest > 1:
        notes.warn(invalid_quantile(greatest), span)
    if least < 0:
        notes.warn(invalid_quantile(least), span)


def _quantiles(vector: Vector, groups: Groups, q: np.ndarray) -> np.ndarray:
    result = np.empty((groups.count, len(q)))
    for group in range(groups.count):
        groups.check()
        rows = groups.rows(group)
        result[group] = quantile_of_columns(vector.values[rows], vector.present[rows], q)
    return result


def quantile_of_columns(values: np.ndarray, present: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the q-quantile of each column, NaN being the smallest value.

    Args:
        values: float64, shape (n, T).
        present: bool, shape (n, T).
        q: float64, shape (T,); below 0 gives -Inf, above 1 +Inf, NaN gives NaN.
    Returns:
        float64, shape (T,); without meaning where nothing is present.
    """
    counts = present.sum(axis=0)
    missing_numbers = (np.isnan(values) & present).sum(axis=0)
    # NumPy sorts NaN to the end, together with what is absent; Prometheus counts NaN first.
    ordered = np.sort(np.where(present, values, np.nan), axis=0)
    rank = np.where((q >= 0) & (q <= 1), q, 0.0) * np.maximum(counts - 1, 0)
    floor = np.floor(rank)
    lower = floor.astype(np.int64)
    upper = np.minimum(np.maximum(counts - 1, 0), lower + 1)
    weight = rank - floor
    columns = np.arange(len(q))

    def pick(index: np.ndarray) -> np.ndarray:
        shifted = index - missing_numbers
        return np.where(shifted < 0, np.nan, ordered[np.maximum(shifted, 0), columns])

    inside = pick(lower) * (1 - weight) + pick(upper) * weight
    return np.select([np.isnan(q), q < 0, q > 1], [np.nan, -np.inf, np.inf], inside)
