"""The functions are those of Prometheus 3.14, by number and by kind."""

from __future__ import annotations

from collections import Counter

from tidegauge.promql.nodes import ValueType
from tidegauge.promql.signatures import AGGREGATORS, FUNCTIONS, UNBOUNDED

V, M, S, T = ValueType.VECTOR, ValueType.MATRIX, ValueType.SCALAR, ValueType.STRING


def test_numbers_of_functions_and_aggregators() -> None:
    assert len(FUNCTIONS) == 90
    assert sum(signature.experimental for signature in FUNCTIONS.values()) == 17
    assert len(AGGREGATORS) == 14
    assert [s.name for s in AGGREGATORS.values() if s.experimental] == ["limitk", "limit_ratio"]


def test_numbers_by_shape() -> None:
    shapes = Counter((s.args, s.variadic, s.returns) for s in FUNCTIONS.values())

    assert shapes[((V,), 0, V)] == 33
    assert shapes[((M,), 0, V)] == 24
    assert shapes[((V,), 1, V)] == 8
    assert shapes[((), 0, S)] == 6


def test_shapes_of_the_odd_ones() -> None:
    assert FUNCTIONS["histogram_quantiles"].args == (V, T, S, S)
    assert FUNCTIONS["histogram_quantiles"].variadic == 9
    assert FUNCTIONS["label_join"].variadic == UNBOUNDED
    assert FUNCTIONS["quantile_over_time"].args == (S, M)
    assert FUNCTIONS["scalar"].returns is S
    assert AGGREGATORS["count_values"].param is T
    assert AGGREGATORS["quantile"].param is S
    assert AGGREGATORS["sum"].param is None
