"""Binary operations on numbers, and on a vector and a scalar."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Query
from tidegauge.promql.engine.vectors import drop_names, empty_vector, without_absent
from tidegauge.promql.quoting import quote
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


def inform_untrimmable(query: Query, expr: nodes.Binary) -> None:
    """Say that floats cannot be trimmed like histograms."""
    query.notes.inform(
        f"incompatible sample types encountered for binary operator {quote(expr.op)}: "
        f"float {expr.op} float",
        expr.span,
    )


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
    if op in TRIMS:
        if vector.present.any():
            inform_untrimmable(query, expr)
        return empty_vector(len(scalar))
    left, right = (scalar, vector.values) if swapped else (vector.values, scalar)
    if op in ARITHMETIC:
        values = ARITHMETIC[op](left, right)
        return drop_names(_with_values(vector, values), query.options)
    holds = COMPARISONS[op](left, right)
    if expr.return_bool:
        return drop_names(_with_values(vector, holds.astype(np.float64)), query.options)
    present = vector.present & holds
    return without_absent(Vector(vector.labels, vector.values, present, vector.drop_name))


def _with_values(vector: Vector, values: np.ndarray) -> Vector:
    return Vector(vector.labels, values, vector.present, vector.drop_name)
