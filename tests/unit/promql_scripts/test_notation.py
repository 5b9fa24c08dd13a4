from __future__ import annotations

import math

import numpy as np
import pytest
from tidegauge.errors import InvalidInput
from tidegauge.model.labels import make_labels
from tidegauge.model.stale import is_stale
from tidegauge.promql.scripts.notation import (
    ScriptError,
    find_number,
    parse_duration_ms,
    parse_series_line,
)


def points_of(text):
    return list(parse_series_line(f"x {text}").points)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("1 2.5 -3", [1, 2.5, -3]),
        ("1x3", [1, 1, 1, 1]),
        ("1+2x3", [1, 3, 5, 7]),
        ("10-5x2", [10, 5, 0]),
        ("-1-1x1", [-1, -2]),
        ("1 2+3x2 _ 4", [1, 2, 5, 8, None, 4]),
        ("_x3 1", [None, None, None, 1]),
        ("Inf -Inf +inf 1e3", [math.inf, -math.inf, math.inf, 1000]),
        (".5+.5x1", [0.5, 1]),
    ],
)
def test_points_expand(text, points):
    assert points_of(text) == points


def test_steps_add_up_as_floats_do():
    assert points_of("0+0.1x3")[3] == 0.1 + 0.1 + 0.1


def test_a_stale_marker_has_its_bits():
    values = np.array(points_of("stale NaN"))

    assert is_stale(values).tolist() == [True, False]
    assert np.isnan(values).all()


def test_histograms_are_repeated_and_grow():
    points = points_of("{{schema:0 sum:5 count:4 buckets:[1 2 1]}}x2 1 {{}}+{{sum:1}}x1")

    sums = [one if isinstance(one, float) else one.histogram.sum for one in points]
    assert sums == [5.0, 5.0, 5.0, 1.0, 0.0, 1.0]
    assert points[0].histogram.positive.counts.tolist() == [1.0, 2.0, 1.0]


def test_a_field_that_no_histogram_has_is_named():
    with pytest.raises(InvalidInput, match="colour:3 is no field of a histogram"):
        parse_series_line("x {{colour:3}}")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("up 1", {"__name__": "up"}),
        ("{} 1", {}),
        ('a:b{job="x", zone=\'y"z\',} 1', {"__name__": "a:b", "job": "x", "zone": 'y"z'}),
        (r'{le="\"\u00e9", a=`\d`} 1', {"le": '"é', "a": r"\d"}),
        ('{"utf.8", "a.b"="c", __type__="gauge"} 1', None),
        ('x{empty=""} 1', {"__name__": "x"}),
        ("sum 1", {"__name__": "sum"}),
    ],
)
def test_labels_are_read(text, labels):
    if labels is None:
        labels = {"__name__": "utf.8", "a.b": "c", "__type__": "gauge"}

    assert parse_series_line(text).labels == make_labels(labels)


@pytest.mark.parametrize(
    "text",
    ["x 1 y", "x 1+2", "x{a=b} 1", 'x{a="b" 1', "x stalex", "x 1x", "x 1x99999999", "1x 2 3", "x{"],
)
def test_what_cannot_be_read_is_an_error(text):
    with pytest.raises(InvalidInput):
        parse_series_line(text)


def test_durations_and_numbers_are_gos():
    assert parse_duration_ms("0") == 0
    assert parse_duration_ms("1h30m") == 5_400_000
    assert parse_duration_ms("10s53ms") == 10_053
    assert find_number("0x1F") == 31
    assert find_number("010") == 8
    assert find_number("-Inf") == -math.inf
    assert find_number("up") is None
    with pytest.raises(ScriptError, match="soon"):
        parse_duration_ms("soon")
