from __future__ import annotations

import math

import numpy as np
import pytest
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import make_labels
from tidegauge.model.stale import STALE_NAN
from tidegauge.promql.scripts.comparison import (
    almost_equal,
    find_annotation_mismatch,
    find_failure_mismatch,
    find_result_mismatch,
    find_step_mismatch,
)
from tidegauge.promql.scripts.parsing import parse_script
from tidegauge.promql.value import Annotations, Matrix, Result, Scalar, Text, Vector

STALE = float(STALE_NAN[0])
A, B = make_labels({"l": "a"}), make_labels({"l": "b"})


def expecting(lines, *, how="instant at 0"):
    (command,) = parse_script(f"eval {how} x\n" + lines)
    return command


def vector_of(rows, *steps_ms):
    values = np.array([[0.0 if x is None else x for x in row] for row in rows.values()])
    present = np.array([[x is not None for x in row] for row in rows.values()])
    count = len(steps_ms)
    vector = Vector(
        list(rows),
        values.reshape(len(rows), count),
        present.reshape(len(rows), count),
        np.zeros(len(rows), bool),
    )
    return Result(vector, np.array(steps_ms, np.int64), Annotations(), 0)


def value_of(value):
    return Result(value, np.array([0], np.int64), Annotations(), 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1.0, 1.0 + 1e-6, True),
        (1.0, 1.00001, False),
        (0.0, 1e-300, False),
        (0.0, -0.0, True),
        (math.nan, math.nan, True),
        (math.nan, 1.0, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (math.inf, 1e308, False),
        (1.7e308, 1.7e308 * (1 - 1e-9), True),
        (STALE, STALE, True),
        (STALE, math.nan, False),
    ],
)
def test_values_are_the_same_within_prometheus_tolerance(one, other, same):
    assert almost_equal(one, other) is same
    assert almost_equal(other, one) is same


def test_an_instant_vector_that_fits_has_no_fault():
    command = expecting('{l="b"} 2\n{l="a"} 1')

    assert find_result_mismatch(command, vector_of({A: [1], B: [2]}, 0)) is None


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ({A: [1], B: [2.1]}, "expected 2, got 2.1"),
        ({A: [1]}, "is missing"),
        ({A: [1], B: [None]}, "is missing"),
        ({A: [1], B: [2], (): [3]}, "unexpected series"),
        ({A: [1], B: [STALE]}, "expected 2"),
    ],
)
def test_wrong_instant_vectors_are_told(rows, fault):
    command = expecting('{l="a"} 1\n{l="b"} 2')

    assert fault in find_result_mismatch(command, vector_of(rows, 0))


def test_a_series_that_comes_twice_is_told():
    result = vector_of({A: [1], B: [1]}, 0)
    result.value.labels[1] = A

    assert "twice" in find_result_mismatch(expecting('{l="a"} 1'), result)


def test_the_order_counts_only_where_it_is_expected():
    result = vector_of({B: [2], A: [1]}, 0)

    assert find_result_mismatch(expecting('{l="a"} 1\n{l="b"} 2'), result) is None
    assert "order" in find_result_mismatch(
        expecting('expect ordered\n{l="a"} 1\n{l="b"} 2'), result
    )
    assert find_result_mismatch(expecting('expect ordered\n{l="b"} 2\n{l="a"} 1'), result) is None


def test_scalars_and_vectors_are_not_the_same():
    scalar = value_of(Scalar(np.array([7.0])))

    assert find_result_mismatch(expecting("7"), scalar) is None
    assert "got 7" in find_result_mismatch(expecting("8"), scalar)
    assert "scalar" in find_result_mismatch(expecting("{} 7"), scalar)
    assert "vector" in find_result_mismatch(expecting("7"), vector_of({(): [7]}, 0))


def test_strings_are_compared():
    command = expecting('expect string "a"')

    assert find_result_mismatch(command, value_of(Text("a"))) is None
    assert "'b'" in find_result_mismatch(command, value_of(Text("b")))
    assert "expected string" in find_result_mismatch(command, value_of(Scalar(np.array([1.0]))))


def test_range_queries_are_compared_point_by_point():
    command = expecting('{l="a"} 1 _ 3', how="range from 0 to 2m step 1m")
    steps_ms = (0, 60_000, 120_000)

    assert find_result_mismatch(command, vector_of({A: [1, None, 3]}, *steps_ms)) is None
    for row in ([1, 2, 3], [1, None, 4], [None, 1, 3], [1, None, None]):
        assert "expected [1@0s 3@120s]" in find_result_mismatch(
            command, vector_of({A: row}, *steps_ms)
        )


def test_more_points_than_the_range_has_are_told():
    command = expecting('{l="a"} 1 2 3', how="range from 0 to 1m step 1m")

    fault = find_result_mismatch(command, vector_of({A: [1, 2]}, 0, 60_000))

    assert "fewer steps" in fault


def test_the_series_of_a_range_query_must_be_sorted():
    command = expecting('{l="a"} 1\n{l="b"} 1', how="range from 0 to 0 step 1m")

    assert "not sorted" in find_result_mismatch(command, vector_of({B: [1], A: [1]}, 0))


def test_range_vectors_are_compared_with_their_own_grid():
    command = expecting('expect range vector from 10s to 20s step 10s\n{l="a"} 1 2')

    def matrix(*times_ms):
        frame = SeriesFrame([A], np.array([0, 2]), np.array(times_ms), np.array([1.0, 2.0]))
        return value_of(Matrix(frame))

    assert find_result_mismatch(command, matrix(10_000, 20_000)) is None
    assert "2@21s" in find_result_mismatch(command, matrix(10_000, 21_000))
    assert "range vector" in find_result_mismatch(expecting('{l="a"} 1'), matrix(1, 2))


def test_one_step_of_a_range_query_is_compared_as_an_instant():
    result = vector_of({A: [9, 1, 9], B: [9, None, 9]}, 0, 1, 2)

    assert find_step_mismatch(expecting('{l="a"} 1'), result, 1) is None
    assert "got 9" in find_step_mismatch(expecting('{l="a"} 1'), result, 2)


def test_annotations_are_compared_both_ways():
    notes = Annotations(warnings=["bad le"], infos=["not a counter"])

    def fault(lines):
        return find_annotation_mismatch(expecting(lines), notes)

    assert fault("") is None
    assert fault("expect warn\nexpect info msg: not a counter") is None
    assert "unexpected warning" in fault("expect no_warn")
    assert "unexpected info" in fault("expect no_info")
    assert "expected warning" in fault("expect warn msg: bad")
    assert fault("expect warn regex: ^bad") is None
    assert "expected info" in fault("expect info regex: a gauge")
    assert "got none" in find_annotation_mismatch(expecting("expect warn"), Annotations())
    assert "unexpected warning 'more'" in find_annotation_mismatch(
        expecting("expect warn msg: bad le"), Annotations(warnings=["bad le", "more"])
    )


def test_failures_are_compared():
    assert find_failure_mismatch(expecting("expect fail"), "no") is None
    assert find_failure_mismatch(expecting("expect fail msg: no"), "no") is None
    assert "failed with 'no'" in find_failure_mismatch(expecting("expect fail msg: yes"), "no")
    assert find_failure_mismatch(expecting(""), "no") == "failed: no"
