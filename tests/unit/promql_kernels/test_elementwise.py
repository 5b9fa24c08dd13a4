"""The functions of one sample, against Python's math and Go's rules for the odd values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tidegauge.promql.kernels.elementwise import ELEMENTWISE, larger, smaller

INF, NAN = math.inf, math.nan
ODD = np.array([[0.0, -0.0, 1.0], [INF, -INF, NAN]])

NAMES_IN_MATH = {
    "abs": math.fabs, "ceil": math.ceil, "floor": math.floor, "exp": math.exp, "sqrt": math.sqrt,
    "ln": math.log, "log2": math.log2, "log10": math.log10,
    "sin": math.sin, "cos": math.cos, "tan": math.tan,
    "asin": math.asin, "acos": math.acos, "atan": math.atan,
    "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh,
    "asinh": math.asinh, "acosh": math.acosh, "atanh": math.atanh,
    "deg": math.degrees, "rad": math.radians,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES_IN_MATH)
def test_function_agrees_with_math(name):
    rng = np.random.default_rng(4)
    values = rng.normal(0, 2, (20, 30))

    actual = ELEMENTWISE[name](values)

    for value, result in zip(values.ravel(), actual.ravel(), strict=True):
        try:
            expected = NAMES_IN_MATH[name](value)
        except ValueError:
            expected = NAN
        assert result == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ln", [[-INF, -INF, 0], [INF, NAN, NAN]]),
        ("sqrt", [[0, -0.0, 1], [INF, NAN, NAN]]),
        ("exp", [[1, 1, math.e], [INF, 0, NAN]]),
        ("sin", [[0, -0.0, math.sin(1)], [NAN, NAN, NAN]]),
        ("acosh", [[NAN, NAN, 0], [INF, NAN, NAN]]),
        ("atanh", [[0, -0.0, INF], [NAN, NAN, NAN]]),
        ("sgn", [[0, -0.0, 1], [1, -1, NAN]]),
        ("round", [[0, 0, 1], [INF, -INF, NAN]]),
    ],
)
def test_odd_values_pass_without_a_warning(name, expected):
    np.testing.assert_allclose(ELEMENTWISE[name](ODD), expected, rtol=1e-15)


def test_round_takes_ties_up():
    rounded = ELEMENTWISE["round"]
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.4])
    assert rounded(values).tolist() == [1, 2, 3, 0, -1, 2]
    assert rounded(np.array([5.0, 14.9, 15.0]), 10.0).tolist() == [10, 10, 20]
    assert rounded(np.array([0.05, 0.35]), 0.1) == pytest.approx([0.1, 0.4])
    # A step each: the parameter may change along the time grid.
    assert rounded(np.array([[7.0, 7.0]]), np.array([5.0, 10.0])).tolist() == [[5, 10]]


def test_clamp_follows_go_where_nan_is_about():
    values = np.array([-INF, -1.0, 0.5, 2.0, INF, NAN])
    clamped = ELEMENTWISE["clamp"](values, 0.0, 1.0)
    assert clamped[:5].tolist() == [0, 0, 0.5, 1, 1]
    assert np.isnan(clamped[5])
    assert np.isnan(ELEMENTWISE["clamp"](values, NAN, 1.0)).all()
    assert ELEMENTWISE["clamp_min"](values, 0.0)[:5].tolist() == [0, 0, 0.5, 2, INF]
    assert ELEMENTWISE["clamp_max"](values, 1.0)[:5].tolist() == [-INF, -1, 0.5, 1, 1]
    assert ELEMENTWISE["clamp_max"](np.array([5.0, NAN]), -INF).tolist() == [-INF, -INF]


def test_larger_and_smaller_are_those_of_go():
    assert larger(INF, NAN) == INF
    assert smaller(NAN, -INF) == -INF
    assert math.isnan(larger(1.0, NAN))
    assert math.isnan(smaller(1.0, NAN))
    assert math.copysign(1, larger(-0.0, 0.0)) == 1
    assert math.copysign(1, smaller(0.0, -0.0)) == -1
    assert math.copysign(1, larger(-0.0, -0.0)) == -1
    assert math.copysign(1, smaller(0.0, 0.0)) == 1
    assert larger(np.array([1.0, 5.0]), np.array([3.0, 2.0])).tolist() == [3, 5]
