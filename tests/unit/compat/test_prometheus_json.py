from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidegauge.compat.prometheus_json import render_result, render_values
from tidegauge.model.floats import format_go_json
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import make_labels
from tidegauge.promql.value import Annotations, Matrix, Result, Scalar, Text, Vector

UP = make_labels({"__name__": "up", "job": 'a"b'})
DOWN = make_labels({"job": "ü"})
_ALL_FLOATS = st.integers(0, 2**64 - 1).map(
    lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]
)
_EVERYDAY_FLOATS = st.one_of(
    st.integers(-(10**22), 10**22).map(float),
    st.decimals(-(10**9), 10**9, places=3, allow_nan=False).map(float),
)


def vector_of(labels, rows):
    values = np.array([[0.0 if x is None else x for x in row] for row in rows])
    present = np.array([[x is not None for x in row] for row in rows])
    return Vector(list(labels), values, present, np.zeros(len(labels), bool))


def result_of(value, *steps_ms):
    return Result(value, np.array(steps_ms, np.int64), Annotations(), 0)


def test_a_range_query_is_a_matrix_without_the_gaps():
    vector = vector_of([UP, DOWN], [[1.0, None, 2.5], [math.nan, math.inf, -math.inf]])

    body = render_result(result_of(vector, 1_435_781_430_781, 0, -1500), is_range=True)

    assert body == (
        b'{"status":"success","data":{"resultType":"matrix","result":['
        b'{"metric":{"__name__":"up","job":"a\\"b"},'
        b'"values":[[1435781430.781,"1"],[-1.5,"2.5"]]},'
        b'{"metric":{"job":"\xc3\xbc"},'
        b'"values":[[1435781430.781,"NaN"],[0,"+Inf"],[-1.5,"-Inf"]]}]}}'
    )


def test_a_range_query_of_one_step_is_a_matrix_still():
    body = render_result(result_of(vector_of([DOWN], [[1.0]]), 1000), is_range=True)

    assert json.loads(body)["data"] == {
        "resultType": "matrix",
        "result": [{"metric": {"job": "ü"}, "values": [[1, "1"]]}],
    }


def test_an_instant_query_is_a_vector_in_its_own_order():
    vector = vector_of([UP, DOWN], [[3.0], [1e21]])

    body = render_result(result_of(vector, 100), is_range=False)

    assert body == (
        b'{"status":"success","data":{"resultType":"vector","result":['
        b'{"metric":{"__name__":"up","job":"a\\"b"},"value":[0.1,"3"]},'
        b'{"metric":{"job":"\xc3\xbc"},"value":[0.1,"1e+21"]}]}}'
    )


def test_series_without_a_point_are_left_out():
    vector = vector_of([UP, DOWN], [[None], [2.0]])

    for is_range in (False, True):
        rows = json.loads(render_result(result_of(vector, 0), is_range=is_range))["data"]["result"]
        assert [row["metric"] for row in rows] == [{"job": "ü"}]


@pytest.mark.parametrize(("is_range", "kind"), [(False, b"vector"), (True, b"matrix")])
def test_nothing_is_an_empty_list(is_range, kind):
    nothing = Vector([], np.zeros((0, 1)), np.zeros((0, 1), bool), np.zeros(0, bool))

    body = render_result(result_of(nothing, 0), is_range=is_range)

    assert body == b'{"status":"success","data":{"resultType":"%b","result":[]}}' % kind


def test_a_range_selector_is_a_matrix_with_its_own_times():
    frame = SeriesFrame(
        [UP, DOWN], np.array([0, 2, 2]), np.array([10, 20_000]), np.array([1.0, 1e-7])
    )

    body = render_result(result_of(Matrix(frame), 30_000), is_range=False)

    assert json.loads(body)["data"] == {
        "resultType": "matrix",
        "result": [{"metric": dict(UP), "values": [[0.01, "1"], [20, "1e-07"]]}],
    }


def test_scalars_and_strings_are_one_point():
    scalar = render_result(result_of(Scalar(np.array([1e21])), 4000), is_range=False)
    text = render_result(result_of(Text('a"b'), 4000), is_range=False)

    assert scalar == (
        b'{"status":"success","data":{"resultType":"scalar","result":[4,"1000000000000000000000"]}}'
    )
    assert text == (b'{"status":"success","data":{"resultType":"string","result":[4,"a\\"b"]}}')


def test_bytes_that_are_no_utf8_become_replacement_characters():
    broken = "a\udcff"

    text = render_result(result_of(Text(broken), 0), is_range=False)
    vector = render_result(
        result_of(vector_of([(("l", broken),)], [[1.0]]), 0), is_range=False, warnings=[broken]
    )

    assert json.loads(text)["data"]["result"] == [0, "a\ufffd"]
    assert json.loads(vector)["data"]["result"][0]["metric"] == {"l": "a\ufffd"}
    assert json.loads(vector)["warnings"] == ["a\ufffd"]


def test_a_scalar_over_a_range_is_a_series_without_labels():
    body = render_result(result_of(Scalar(np.array([1.0, 2.0])), 0, 1000), is_range=True)

    assert json.loads(body)["data"]["result"] == [{"metric": {}, "values": [[0, "1"], [1, "2"]]}]


def test_annotations_stand_beside_the_data():
    body = render_result(
        result_of(Scalar(np.array([1.0])), 0), is_range=False, warnings=["w"], infos=["i", "j"]
    )

    assert body.endswith(b'"result":[0,"1"]},"warnings":["w"],"infos":["i","j"]}')


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(_ALL_FLOATS, _EVERYDAY_FLOATS)))
def test_values_are_spelled_as_one_by_one(values):
    rendered = render_values(np.array(values, np.float64))

    assert rendered == [format_go_json(value).encode() for value in values]


@settings(deadline=None, max_examples=300)
@given(st.lists(_ALL_FLOATS, min_size=1))
def test_what_is_sent_reads_back_as_the_same_floats(values):
    body = render_result(result_of(vector_of([DOWN], [values]), *range(len(values))), is_range=True)

    points = json.loads(body)["data"]["result"][0]["values"]

    assert [round(time * 1000) for time, _ in points] == list(range(len(values)))
    back = np.array([float(text) for _, text in points])
    sent = np.array(values)
    nan = np.isnan(sent)
    assert (np.isnan(back) == nan).all()
    assert (back[~nan].view(np.uint64) == sent[~nan].view(np.uint64)).all()
