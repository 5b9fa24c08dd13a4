"""Date functions against datetime, and beyond its years against the calendar's period."""

from __future__ import annotations

import calendar
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from tidegauge.promql.kernels.elementwise import ELEMENTWISE

NAMES = (
    "minute", "hour", "day_of_week", "day_of_month",
    "day_of_year", "days_in_month", "month", "year",
)  # fmt: skip
PERIOD_S = 146_097 * 86_400  # 400 years, a whole number of weeks


def parts(seconds):
    return [float(ELEMENTWISE[name](np.array([seconds]))[0]) for name in NAMES]


def expected_parts(seconds):
    date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=math.trunc(seconds))
    return [
        date.minute, date.hour, date.isoweekday() % 7, date.day, date.timetuple().tm_yday,
        calendar.monthrange(date.year, date.month)[1], date.month, date.year,
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_dates_are_those_of_datetime(seed):
    rng = np.random.default_rng(seed)
    for seconds in rng.uniform(-6.2e10, 2.5e11, 300).tolist():
        assert parts(seconds) == expected_parts(seconds), seconds


@pytest.mark.parametrize("year", [1600, 1900, 1972, 2000, 2024, 2100])
def test_end_of_february(year):
    start = datetime(year, 2, 28, 12, 30, tzinfo=UTC).timestamp()
    for day in range(3):
        assert parts(start + 86_400 * day) == expected_parts(start + 86_400 * day)


def test_fractions_are_cut_towards_zero():
    assert parts(-0.9) == parts(0.0)
    assert parts(59.9) == parts(59.0)


@pytest.mark.parametrize("periods", [-20_000, -100, 100, 20_000])
def test_years_beyond_datetime(periods):
    base = datetime(2024, 2, 29, 23, 59, tzinfo=UTC).timestamp()
    here, there = parts(base), parts(base + periods * PERIOD_S)
    assert there[:-1] == here[:-1]
    assert there[-1] == here[-1] + 400 * periods


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, 2.0**63])
def test_what_no_integer_holds_is_gos_least_second(value):
    assert parts(value) == parts(-(2.0**63))


def test_shape_is_kept():
    assert ELEMENTWISE["year"](np.zeros((2, 3))).tolist() == [[1970.0] * 3] * 2
