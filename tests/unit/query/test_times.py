"""Times and durations of both APIs."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidegauge.errors import InvalidInput
from tidegauge.query.times import (
    MAX_TIME_MS,
    choose_step_ms,
    parse_duration_ms,
    parse_native_time_ms,
    parse_prometheus_time_ms,
    parse_rfc3339_ms,
)

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("4", 4000),
        ("0", 0),
        ("-1.5", -1500),
        ("1435781430.781", 1435781430781),
        ("1.7e9", NOW_MS),
        ("2015-07-01T20:10:30.781Z", 1435781430781),
        ("2015-07-01T22:10:30.781999999+02:00", 1435781430781),
        ("1969-12-31T23:59:59.5Z", -500),
        ("-292273086-05-16T16:47:06Z", -MAX_TIME_MS),
        ("+292277025-08-18T07:12:54.999999999Z", MAX_TIME_MS),
    ],
)
def test_prometheus_times_are_seconds_or_rfc3339(text: str, expected_ms: int) -> None:
    assert parse_prometheus_time_ms(text) == expected_ms


@pytest.mark.parametrize(
    "text", ["", "now", "NaN", "Inf", "1_0", " 4", "٤", "2015-13-01T00:00:00Z", "1e400", "9e18"]
)
def test_other_prometheus_times_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="to a valid timestamp"):
        parse_prometheus_time_ms(text)


@pytest.mark.parametrize(
    ("value", "expected_ms"),
    [
        (NOW_MS, NOW_MS),
        (1.5, 2),
        ("1700000000000", NOW_MS),
        ("now", NOW_MS),
        ("now-6h", NOW_MS - 6 * 3_600_000),
        ("now - 1h30m", NOW_MS - 5_400_000),
        ("now+5m", NOW_MS + 300_000),
        ("2023-11-14T22:13:20Z", NOW_MS),
        ("2023-11-14t22:13:20z", NOW_MS),
    ],
)
def test_native_times_are_milliseconds_rfc3339_or_relative(value: object, expected_ms: int) -> None:
    assert parse_native_time_ms(value, now_ms=NOW_MS) == expected_ms


@pytest.mark.parametrize("value", [True, None, [], "yesterday", "now-", "now-6x", float("nan")])
def test_other_native_times_are_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        parse_native_time_ms(value, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("15", 15_000),
        ("0.001", 1),
        ("0.0299", 29),
        ("-5", -5000),
        ("5m", 300_000),
        ("1m0s", 60_000),
        ("4m0s", 240_000),
        ("1y2w3d4h5m6s7ms", 31_536_000_000 + 1_209_600_000 + 273_906_007),
        ("0", 0),
    ],
)
def test_durations_are_seconds_or_compound(text: str, expected_ms: int) -> None:
    assert parse_duration_ms(text) == expected_ms


@pytest.mark.parametrize("text", ["", "m5", "5 m", "1m1h", "1.5h", "NaN", "9" * 400 + "y"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="to a valid duration"):
        parse_duration_ms(text)


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_rfc3339_round_trips_every_millisecond(moment_ms: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment_ms)

    assert parse_rfc3339_ms(moment.isoformat(timespec="milliseconds")) == moment_ms


@given(st.text(max_size=30))
def test_no_text_raises_anything_but_invalid_input(text: str) -> None:
    for parse in (parse_prometheus_time_ms, parse_duration_ms):
        with contextlib.suppress(InvalidInput):
            assert isinstance(parse(text), int)


def test_a_megabyte_of_digits_is_refused_without_trying_every_place_to_cut_it() -> None:
    digits = "9" * 1_000_000
    for text in (f"{digits}x", f"{digits}s", f"1.{digits}x", f"now-{digits}s"):
        with pytest.raises(InvalidInput):
            parse_native_time_ms(text, now_ms=0)
        with pytest.raises(InvalidInput):
            parse_duration_ms(text)


@pytest.mark.parametrize(
    ("range_ms", "step_ms"),
    [
        (0, 1000),
        (300_000, 1000),
        (3_600_000, 15_000),
        (86_400_000, 300_000),
        (365 * 86_400_000, 2 * 86_400_000),
    ],
)
def test_the_chosen_step_is_round_and_gives_some_hundred_points(
    range_ms: int, step_ms: int
) -> None:
    assert choose_step_ms(range_ms) == step_ms
