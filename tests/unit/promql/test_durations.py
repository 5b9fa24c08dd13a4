"""Durations and numbers are read and printed as Go and Prometheus do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidegauge.promql.durations import (
    MAX_DURATION_NS,
    NS_PER_MS,
    format_duration,
    format_range,
    ns_to_seconds,
    parse_duration,
    parse_float,
    parse_number,
    seconds_to_ns,
)

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("0", 0),
        ("0s", 0),
        ("1ms", NS_PER_MS),
        ("1h30m", 5400 * S),
        ("1y2w3d", (365 + 14 + 3) * 86_400 * S),
        ("5m1ms", 300 * S + NS_PER_MS),
        ("292y", 292 * 365 * 86_400 * S),
    ],
)
def test_duration_is_read(text: str, duration_ns: int) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty duration string"),
        ("5", 'not a valid duration string: "5"'),
        ("m5", 'not a valid duration string: "m5"'),
        ("5m1h", 'not a valid duration string: "5m1h"'),
        ("5m5m", 'not a valid duration string: "5m5m"'),
        ("5hs", 'unknown unit "hs" in duration "5hs"'),
        ("293y", "duration out of range"),
        ("9" * 5000 + "s", f'not a valid duration string: "{"9" * 5000}s"'),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_duration(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="duration") as caught:
        parse_duration(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (999_999, "0s"),
        (90 * 86_400 * S, "90d"),
        (14 * 86_400 * S, "2w"),
        (365 * 86_400 * S, "1y"),
        (-5_400_500 * NS_PER_MS, "-1h30m500ms"),
        (100 * S, "1m40s"),
    ],
)
def test_duration_is_printed(duration_ns: int, text: str) -> None:
    assert format_duration(duration_ns) == text


@settings(deadline=None, derandomize=True)
@given(st.integers(0, MAX_DURATION_NS // NS_PER_MS))
def test_printed_duration_reads_back(duration_ms: int) -> None:
    duration_ns = duration_ms * NS_PER_MS

    assert parse_duration(format_duration(duration_ns)) == duration_ns
    assert parse_duration(format_range(duration_ns)) == duration_ns


@pytest.mark.parametrize(
    ("seconds", "duration_ns"),
    [(0.5e-9, 1), (-0.5e-9, -1), (0.4e-9, 0), (1.001, 1_001_000_000), (9e9, 9 * 10**18)],
)
def test_seconds_round_half_away_from_zero(seconds: float, duration_ns: int) -> None:
    assert seconds_to_ns(seconds) == duration_ns
    assert math.isclose(ns_to_seconds(duration_ns), seconds, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("00", 0),
        ("0755", 493),
        ("089", 89),
        ("0x_1f", 31),
        ("1_000", 1000),
        ("1_0.5e1_0", 10.5e10),
        ("9223372036854775807", 2.0**63),
        ("9223372036854775808", 2.0**63),
        ("1" + "0" * 300, 1e300),
        ("0777777777777777777777", 2.0**63),
        (".5", 0.5),
        ("5.", 5),
        ("iNf", math.inf),
    ],
)
def test_number_is_read(text: str, value: float) -> None:
    assert parse_number(text) == value


def test_nan_is_a_number() -> None:
    assert math.isnan(parse_number("nAn"))


@pytest.mark.parametrize(
    ("text", "value"),
    [("0x1p-2", 0.25), ("-0x1.8P1", -3), ("+Infinity", math.inf), ("1_23.50_0_0e+1_2", 123.5e12)],
)
def test_float_is_read_as_go_reads_it(text: str, value: float) -> None:
    assert parse_float(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid syntax"),
        (" 1", "invalid syntax"),
        ("1__0", "invalid syntax"),
        ("1_", "invalid syntax"),
        ("1_.5", "invalid syntax"),
        ("0x1.8", "invalid syntax"),
        ("١", "invalid syntax"),
        ("1e400", "value out of range"),
        ("0x1p1024", "value out of range"),
        ("0xffffffffffffffffff", "invalid syntax"),
    ],
)
def test_what_go_reads_no_float_in(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="ParseFloat") as caught:
        parse_number(text)

    assert str(caught.value) == f'strconv.ParseFloat: parsing "{text}": {reason}'
