"""Aggregations that choose among the series: topk, bottomk, limitk, limit_ratio.

Source: promql.md §6 (TOPK); Prometheus `engine.aggregationK`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidegauge.model.floats import format_go_g
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Query
from tidegauge.promql.engine.errors import EvaluationFailed
from tidegauge.promql.engine.grouping import Groups
from tidegauge.promql.engine.heaps import largest_on_heap, rank_like_go
from tidegauge.promql.engine.sampling import sampling_offset
from tidegauge.promql.engine.vectors import (
    empty_vector,
    histogram_cells,
    take_rows,
    without_absent,
)
from tidegauge.promql.value import Vector

SELECTIONS = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_INT64_LIMIT = 2.0**63


def select_series(
    query: Query, expr: nodes.Aggregate, vector: Vector, groups: Groups, param: np.ndarray
) -> Vector:
    """Return the series that are chosen at each step, with all their labels.

    Args:
        param: float64, shape (T,): how many of each group, or which share of all.
    Returns:
        At a single step topk and bottomk are sorted by value within each group.
    Raises:
        EvaluationFailed: the parameter is NaN, or no int64.
    """
    if expr.op == "limit_ratio":
        chosen = _choose_ratio(query, expr, vector, param)
    else:
        wanted = _wanted_counts(param, len(vector.labels))
        if wanted is None:
            return empty_vector(len(param))
        if expr.op != "limitk":
            if vector.histograms is not None and histogram_cells(vector).any():
                query.notes.inform(f"ignored histogram in {expr.op} aggregation", expr.span)
                vector = replace(
                    vector, present=vector.present & ~histogram_cells(vector), histograms=None
                )
            return _choose_extreme(query, vector, groups, wanted, largest=expr.op == "topk")
        chosen = np.zeros(vector.present.shape, bool)
        for group in range(groups.count):
            rows = groups.rows(group)
            present = vector.present[rows]
            chosen[rows] = present & (np.cumsum(present, axis=0) <= wanted)
    return without_absent(replace(vector, present=chosen))


def _wanted_counts(param: np.ndarray, series: int) -> np.ndarray | None:
    if (param < 1).all():
        return None
    if np.isnan(param).any():
        raise EvaluationFailed("Parameter value is NaN")
    least, greatest = float(param.min()), float(param.max())
    if least <= -_INT64_LIMIT:
        raise EvaluationFailed(f"Scalar value {format_go_g(least)} underflows int64")
    if greatest >= _INT64_LIMIT:
        raise EvaluationFailed(f"Scalar value {format_go_g(greatest)} overflows int64")
    wanted: np.ndarray = np.clip(np.trunc(param), 0, series).astype(np.int64)
    return wanted


def _choose_extreme(
    query: Query, vector: Vector, groups: Groups, wanted: np.ndarray, *, largest: bool
) -> Vector:
    keys = vector.values if largest else -vector.values
    if vector.present.shape[1] == 1:
        return take_rows(vector, _rank_single_step(vector, groups, keys, int(wanted[0])))
    chosen = np.zeros(vector.present.shape, bool)
    for group in range(groups.count):
        query.check()
        rows = groups.rows(group)
        chosen[rows] = _choose_in_group(keys[rows], vector.present[rows], wanted)
    return without_absent(replace(vector, present=chosen))


def _rank_single_step(vector: Vector, groups: Groups, keys: np.ndarray, wanted: int) -> np.ndarray:
    """Return the chosen series of a single step, group by group, the largest key first."""
    ranking: list[np.ndarray] = []
    for group in range(groups.count if wanted else 0):
        rows = groups.rows(group)
        rows = rows[vector.present[rows, 0]]
        own = keys[rows, 0].tolist()
        ranking.append(rows[rank_like_go(own, largest_on_heap(own, wanted))])
    return np.concatenate(ranking) if ranking else np.zeros(0, np.int64)


def _choose_in_group(keys: np.ndarray, present: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return where the series of one group are among the largest: bool, shape (n, T)."""
    # What is absent is sorted among the NaN, at the end; it must not use up a place.
    order = np.argsort(np.where(present, -keys, np.nan), axis=0, kind="stable")
    ranked = np.take_along_axis(present, order, axis=0)
    places = np.cumsum(ranked, axis=0)
    chosen = np.empty_like(present)
    np.put_along_axis(chosen, order, ranked & (places <= wanted), axis=0)
    crowded = np.flatnonzero((places[-1] > wanted) & (wanted > 0))
    for step in crowded[_is_tied(keys, order, ranked, places, wanted, crowded)].tolist():
        rows = np.flatnonzero(present[:, step])
        chosen[:, step] = False
        chosen[rows[largest_on_heap(keys[rows, step].tolist(), int(wanted[step]))], step] = True
    return chosen


def _is_tied(
    keys: np.ndarray,
    order: np.ndarray,
    ranked: np.ndarray,
    places: np.ndarray,
    wanted: np.ndarray,
    steps: np.ndarray,
) -> np.ndarray:
    """Return at which steps the last one chosen and the first one left out are equal."""
    last = np.argmax(ranked[:, steps] & (places[:, steps] == wanted[steps]), axis=0)
    left_out = np.argmax(ranked[:, steps] & (places[:, steps] == wanted[steps] + 1), axis=0)
    last_key = keys[order[last, steps], steps]
    next_key = keys[order[left_out, steps], steps]
    tied: np.ndarray = (last_key == next_key) | np.isnan(next_key)
    return tied


def _choose_ratio(
    query: Query, expr: nodes.Aggregate, vector: Vector, param: np.ndarray
) -> np.ndarray:
    assert expr.param is not None
    if (param == 0).all():
        return np.zeros(vector.present.shape, bool)
    if np.isnan(param).any():
        raise EvaluationFailed("Ratio value is NaN")
    for beyond, limit in ((float(param.max()), 1.0), (float(param.min()), -1.0)):
        if beyond * limit > 1:
            query.notes.warn(
                "ratio value should be between -1 and 1, "
                f"got {format_go_g(beyond)}, capping to {format_go_g(limit)}",
                expr.param.span,
            )
    ratio = np.clip(param, -1.0, 1.0)
    offsets = np.array([sampling_offset(labels) for labels in vector.labels]).reshape(-1, 1)
    inside = np.where(ratio >= 0, offsets < ratio, offsets >= 1 + ratio)
    chosen: np.ndarray = vector.present & inside
    return chosen
