"""Aggregations that choose among the series: topk, bottomk, limitk, limit_ratio.

Source: promql.md §6 (TOPK); Prometheus `engine.aggregationK`.
"""

from __future__ import annotations

import hashlib

import numpy as np

from tidegauge.model.labels import Labels
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Query
from tidegauge.promql.engine.errors import EvaluationFailed
from tidegauge.promql.engine.goformat import format_general
from tidegauge.promql.engine.grouping import Groups
from tidegauge.promql.engine.vectors import empty_vector, take_rows, without_absent
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
            return _choose_extreme(vector, groups, wanted, largest=expr.op == "topk")
        chosen = np.zeros(vector.present.shape, bool)
        for group in range(groups.count):
            rows = groups.rows(group)
            present = vector.present[rows]
            chosen[rows] = present & (np.cumsum(present, axis=0) <= wanted)
    return without_absent(Vector(vector.labels, vector.values, chosen, vector.drop_name))


def _wanted_counts(param: np.ndarray, series: int) -> np.ndarray | None:
    if (param < 1).all():
        return None
    if np.isnan(param).any():
        raise EvaluationFailed("Parameter value is NaN")
    least, greatest = float(param.min()), float(param.max())
    if least <= -_INT64_LIMIT:
        raise EvaluationFailed(f"Scalar value {format_general(least)} underflows int64")
    if greatest >= _INT64_LIMIT:
        raise EvaluationFailed(f"Scalar value {format_general(greatest)} overflows int64")
    wanted: np.ndarray = np.clip(np.trunc(param), 0, series).astype(np.int64)
    return wanted


def _choose_extreme(vector: Vector, groups: Groups, wanted: np.ndarray, *, largest: bool) -> Vector:
    keys = np.where(vector.present, -vector.values if largest else vector.values, np.nan)
    chosen = np.zeros(vector.present.shape, bool)
    single = vector.present.shape[1] == 1
    ranking: list[np.ndarray] = []
    for group in range(groups.count):
        rows = groups.rows(group)
        order = np.argsort(keys[rows], axis=0, kind="stable")
        present = np.take_along_axis(vector.present[rows], order, axis=0)
        # What is absent is sorted among the NaN: it must not use up a place.
        taken = present & (np.cumsum(present, axis=0) <= wanted)
        here = np.empty_like(taken)
        np.put_along_axis(here, order, taken, axis=0)
        chosen[rows] = here
        if single:
            ranking.append(rows[order[:, 0][taken[:, 0]]])
    selected = Vector(vector.labels, vector.values, chosen, vector.drop_name)
    if single and ranking:
        return take_rows(selected, np.concatenate(ranking))
    return without_absent(selected)


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
                f"got {format_general(beyond)}, capping to {format_general(limit)}",
                expr.param.span,
            )
    ratio = np.clip(param, -1.0, 1.0)
    offsets = np.array([_sampling_offset(labels) for labels in vector.labels]).reshape(-1, 1)
    inside = np.where(ratio >= 0, offsets < ratio, offsets >= 1 + ratio)
    chosen: np.ndarray = vector.present & inside
    return chosen


def _sampling_offset(labels: Labels) -> float:
    """Return a number from 0 to 1 that depends on the labels alone."""
    text = "\xff".join(part for pair in labels for part in pair).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / 2**64
