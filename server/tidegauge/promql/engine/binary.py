"""Binary operations on numbers, and on a vector and a scalar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Query
from tidegauge.promql.engine.mixed import combine_samples
from tidegauge.promql.engine.vectors import (
    drop_names,
    histogram_cells,
    histogram_grid,
    without_absent,
)
from tidegauge.promql.native.notes import incompatible_types
from tidegauge.promql.value import Vector

ARITHMETIC: dict[str, Callable[..., np.ndarray]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.fmod,
    "^": np.power, "atan2": np.arctan2,
}  # fmt: skip
COMPARISONS: dict[str, Callable[..., np.ndarray]] = {
    "==": np.equal, "!=": np.not_equal, ">": np.greater, "<": np.less,
    ">=": np.greater_equal, "<=": np.less_equal,
}  # fmt: skip
SET_OPERATORS = frozenset({"and", "or", "unless"})
TRIMS = frozenset({"</", ">/"})


def combine_numbers(op: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return an operation on two scalars: float64, shape (T,); a comparison gives 0 or 1."""
    if op in COMPARISONS:
        return COMPARISONS[op](left, right).astype(np.float64)
    return ARITHMETIC[op](left, right)


def combine_with_scalar(
    query: Query, expr: nodes.Binary, vector: Vector, scalar: np.ndarray, *, swapped: bool
) -> Vector:
    """Return a vector combined with a scalar, sample by sample.

    Args:
        scalar: float64, shape (T,).
        swapped: the scalar is the left side.
    Returns:
        Of a comparison without `bool`, the vector's own samples where it holds.
    """
    op = expr.op
    cells = histogram_cells(vector) if vector.histograms is not None else None
    floats = vector.present if cells is None else vector.present & ~cells
    if op in TRIMS:
        values, present = vector.values, np.zeros_like(floats)
        if floats.any():
            query.notes.inform(incompatible_types(op, "float", "float"), expr.span)
    else:
        left, right = (scalar, vector.values) if swapped else (vector.values, scalar)
        values, present = _combine_floats(expr, vector, left, right, floats)
    combined = replace(vector, values=values, present=present, histograms=None)
    if cells is not None and cells.any():
        combined = _combine_histograms(query, expr, vector, scalar, swapped, combined)
    drops_names = op in ARITHMETIC or expr.return_bool
    shown = without_absent(combined)
    return drop_names(shown, query.options) if drops_names else shown


def _combine_floats(
    expr: nodes.Binary, vector: Vector, left: np.ndarray, right: np.ndarray, floats: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if expr.op in ARITHMETIC:
        return ARITHMETIC[expr.op](left, right), floats
    holds = COMPARISONS[expr.op](left, right)
    if expr.return_bool:
        return holds.astype(np.float64), floats
    return vector.values, floats & holds


def _combine_histograms(
    query: Query,
    expr: nodes.Binary,
    vector: Vector,
    scalar: np.ndarray,
    swapped: bool,
    combined: Vector,
) -> Vector:
    """Return what comes of the floats, with what comes of the histograms beside it."""
    present = combined.present.copy()
    grid = histogram_grid(vector)
    histograms = np.full(present.shape, None, object)
    for row, step in np.argwhere(histogram_cells(vector)).tolist():
        query.check()
        own, other = grid[row, step], float(scalar[step])
        found = combine_samples(expr.op, *((other, own) if swapped else (own, other)))
        if found.note is not None:
            query.notes.add(found.note, expr.span)
        if found.sample is None:
            continue
        present[row, step] = True
        histograms[row, step] = found.sample
    return replace(combined, present=present, histograms=histograms)
