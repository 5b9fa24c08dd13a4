"""The functions of one sample, over whole arrays.

Each takes values float64 of any shape (mostly (S, T)) and scalar parameters as floats or
float64 (T,), and returns float64 of the same shape. None of them warns about NaN or infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from tidegauge.promql.kernels import dates

Parameter = float | np.ndarray


def larger(left: Parameter, right: Parameter) -> np.ndarray:
    """Return the larger of both as Go's math.Max has it: +Inf beats NaN, and 0 beats -0."""
    result = np.maximum(left, right)
    # Of two zeros the sum is -0 only if both are.
    result = np.where((np.equal(left, 0)) & np.equal(right, 0), np.add(left, right), result)
    return np.where(np.equal(left, np.inf) | np.equal(right, np.inf), np.inf, result)


def smaller(left: Parameter, right: Parameter) -> np.ndarray:
    """Return the smaller of both as Go's math.Min has it: -Inf beats NaN, and -0 beats 0."""
    return -larger(np.negative(left), np.negative(right))


def clamp(values: np.ndarray, lowest: Parameter, highest: Parameter) -> np.ndarray:
    """Return the values, held between both limits; the engine empties lowest > highest."""
    return larger(lowest, smaller(highest, values))


def clamp_min(values: np.ndarray, lowest: Parameter) -> np.ndarray:
    """Return the values, none below the limit."""
    return clamp(values, lowest, np.inf)


def clamp_max(values: np.ndarray, highest: Parameter) -> np.ndarray:
    """Return the values, none above the limit."""
    return clamp(values, -np.inf, highest)


def round_half_up(values: np.ndarray, to_nearest: Parameter = 1.0) -> np.ndarray:
    """Return the values rounded to a multiple, ties upwards (NumPy would take the even one)."""
    # Prometheus multiplies by the inverse; so must we, to agree in the last digit.
    inverse = np.divide(1.0, to_nearest)
    rounded: np.ndarray = np.floor(values * inverse + 0.5) / inverse
    return rounded


def sign(values: np.ndarray) -> np.ndarray:
    """Return -1, 1, or the value itself where it is a zero or NaN."""
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


def degrees(values: np.ndarray) -> np.ndarray:
    """Return radians as degrees."""
    return values * 180 / np.pi


def radians(values: np.ndarray) -> np.ndarray:
    """Return degrees as radians."""
    return values * np.pi / 180


def _quiet(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return the function without floating point warnings."""

    @wraps(function)
    def quiet(*args: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            result: np.ndarray = function(*args)
            return result

    return quiet


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs, "ceil": np.ceil, "floor": np.floor, "round": round_half_up, "sgn": sign,
    "exp": np.exp, "sqrt": np.sqrt, "ln": np.log, "log2": np.log2, "log10": np.log10,
    "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "deg": degrees, "rad": radians,
    "clamp": clamp, "clamp_min": clamp_min, "clamp_max": clamp_max,
    "minute": dates.minute, "hour": dates.hour, "day_of_week": dates.day_of_week,
    "day_of_month": dates.day_of_month, "day_of_year": dates.day_of_year,
    "days_in_month": dates.days_in_month, "month": dates.month, "year": dates.year,
}  # fmt: skip

ELEMENTWISE: dict[str, Callable[..., np.ndarray]] = {
    name: _quiet(function) for name, function in _FUNCTIONS.items()
}
