from __future__ import annotations

import pytest
from tidegauge.promql.engine.goformat import (
    format_fixed,
    format_general,
    format_labels,
    format_openmetrics,
    parse_float,
    quote,
)


def test_info_about_a_counter_is_given_once_per_name_and_place(asker):
    ask = asker({'x{i="1"}': [1, 2], 'x{i="2"}': [1, 2], "y_total": [1, 2]})

    assert ask.notes("rate(x[5m]) + rate(x[5m])", 60) == [
        "PromQL info: metric might not be a counter, name does not end in "
        '_total/_sum/_count/_bucket: "x" (1:6)'
    ]
    assert ask.notes("rate(y_total[5m])", 60) == []
    assert ask.notes("rate(x[5m])", 0) == []


def test_positions_count_lines_and_bytes(asker):
    ask = asker({"x": [1, 2]})

    (note,) = ask.notes('1 +\n label_replace(rate(x[5m]), "é", "", "", "") + rate(x[5m])', 60)
    assert note.endswith("(2:21)")
    (note,) = ask.notes('label_replace(x, "é", "", "é", "") + rate(x[5m])', 60)
    assert note.endswith("(1:45)")


@pytest.mark.parametrize(
    ("value", "general", "fixed"),
    [
        (0.1, "0.1", "0.1"),
        (100000.0, "100000", "100000"),
        (1e6, "1e+06", "1000000"),
        (123456789.0, "1.23456789e+08", "123456789"),
        (1e-5, "1e-05", "0.00001"),
        (1e20, "1e+20", "100000000000000000000"),
        (-2.0, "-2", "-2"),
        (float("nan"), "NaN", "NaN"),
        (float("inf"), "+Inf", "+Inf"),
        (float("-inf"), "-Inf", "-Inf"),
        (0.0, "0", "0"),
    ],
)
def test_numbers_are_spelled_like_go(value, general, fixed):
    assert format_general(value) == general
    assert format_fixed(value) == fixed


def test_quantiles_in_labels_have_a_point():
    assert [format_openmetrics(q) for q in (1.0, 0.5, -1.0, 1e9, float("inf"))] == [
        "1.0", "0.5", "-1.0", "1e+09", "+Inf",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0), ("+1.5e3", 1500.0), (".5", 0.5), ("5.", 5.0), ("+Inf", float("inf")),
        ("-infinity", float("-inf")), ("0x1p-2", 0.25), ("0X.8P1", 1.0),
        ("1_0", None), (" 1", None), ("1 ", None), ("", None), ("1e999", None), ("x", None),
        ("0x1", None), ("1e", None),
    ],
)  # fmt: skip
def test_numbers_are_read_like_go(text, value):
    assert parse_float(text) == value


def test_strings_and_labels_are_quoted_like_go():
    assert quote('a"b\\c\n\x00é') == '"a\\"b\\\\c\\n\\x00é"'
    assert quote(b"a\xc5z".decode("utf-8", "surrogateescape")) == '"a\\xc5z"'
    assert format_labels((("__name__", "x"), ("a.b", "1"))) == '{__name__="x", "a.b"="1"}'
