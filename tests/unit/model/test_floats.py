from __future__ import annotations

import math
import struct
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidegauge.model.floats import format_go_f, format_go_g, format_go_json

_ALL_FLOATS = st.integers(0, 2**64 - 1).map(
    lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (1e16, "10000000000000000"),
        (1.5e16, "15000000000000000"),
        (1e20, "100000000000000000000"),
        (1e21, "1000000000000000000000"),
        (0.0001, "0.0001"),
        (1.5e-7, "0.00000015"),
        (-2.5e-10, "-0.00000000025"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_format_f_never_has_an_exponent(value, text):
    assert format_go_f(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1e-6, "0.000001"),
        (9.99e-7, "9.99e-07"),
        (1e20, "100000000000000000000"),
        (999999999999999900000.0, "999999999999999900000"),
        (1e21, "1e+21"),
        (-1.25e100, "-1.25e+100"),
        (5e-324, "5e-324"),
        (math.nan, "NaN"),
        (-math.inf, "-Inf"),
    ],
)
def test_json_has_an_exponent_at_the_far_ends_only(value, text):
    assert format_go_json(value) == text


@settings(deadline=None, max_examples=500)
@given(_ALL_FLOATS)
def test_what_is_printed_reads_back_as_the_same_float(value):
    for text in (format_go_f(value), format_go_json(value)):
        back = float(text)
        assert back == value or (math.isnan(back) and math.isnan(value))
        assert math.copysign(1, back) == math.copysign(1, value) or math.isnan(value)


@settings(deadline=None, max_examples=500)
@given(_ALL_FLOATS.filter(math.isfinite))
def test_format_f_is_the_shortest_digits_written_out(value):
    text = format_go_f(value)

    assert "e" not in text
    assert Decimal(text) == Decimal(repr(value))
    assert not text.endswith(".")
    assert "." not in text or not text.endswith("0")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (-2.0, "-2"), (100.0, "100"), (999999.0, "999999"), (1e6, "1e+06"),
        (123456789.0, "1.23456789e+08"), (-1.5e-5, "-1.5e-05"), (0.0001, "0.0001"),
        (1e20, "1e+20"), (1e-100, "1e-100"), (-0.0, "-0"), (math.nan, "NaN"), (-math.inf, "-Inf"),
    ],
)  # fmt: skip
def test_general_format_has_an_exponent_from_a_million_on(value, text):
    assert format_go_g(value) == text
