"""Date functions on Unix seconds, UTC, in integer arithmetic far beyond datetime's years.

Source: Prometheus `funcMinute` and its neighbours: int64(v), then Go's proleptic Gregorian
calendar. The day count to calendar date algorithm is Howard Hinnant's `civil_from_days`.
"""

from __future__ import annotations

import numpy as np

DAY_S = 86_400
# Go counts from 1 March of the year -292277022400 in uint64, which wraps for the last few
# centuries of int64 seconds: the very place where NaN and infinities end up.
EPOCH_DAY = 106_751_991_073_400
ERA_DAYS = 146_097  # 400 years
_LEAST_S = np.iinfo(np.int64).min
_DAYS_BEFORE_MONTH = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])
_DAYS_IN_MONTH = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def _seconds_of_go(values: np.ndarray) -> np.ndarray:
    # What int64 cannot hold becomes its least value, as Go on amd64 converts it.
    fits = np.abs(values) < 2.0**63
    whole = np.where(fits, np.trunc(np.where(fits, values, 0.0)).astype(np.int64), _LEAST_S)
    return whole.view(np.uint64) + np.uint64(EPOCH_DAY * DAY_S)


def _second_of_day(values: np.ndarray) -> np.ndarray:
    seconds: np.ndarray = _seconds_of_go(values) % np.uint64(DAY_S)
    return seconds


def _day_number(values: np.ndarray) -> np.ndarray:
    """Return days since 1970-01-01."""
    days = _seconds_of_go(values) // np.uint64(DAY_S)
    return days.astype(np.int64) - EPOCH_DAY


def _civil(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return year, month (from 1) and day of the month (from 1)."""
    days = _day_number(values) + 719_468  # since 0000-03-01: a leap day is a year's last
    era = days // ERA_DAYS
    day_of_era = days - era * ERA_DAYS
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = np.where(shifted_month < 10, shifted_month + 3, shifted_month - 9)
    return year_of_era + era * 400 + (month <= 2), month, day


def _as_float(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.float64)


def _is_leap(year: np.ndarray) -> np.ndarray:
    leap: np.ndarray = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return leap


def minute(values: np.ndarray) -> np.ndarray:
    """Return the minute of the hour, 0 to 59."""
    return _as_float(_second_of_day(values) // 60 % 60)


def hour(values: np.ndarray) -> np.ndarray:
    """Return the hour of the day, 0 to 23."""
    return _as_float(_second_of_day(values) // 3_600)


def day_of_week(values: np.ndarray) -> np.ndarray:
    """Return the day of the week, Sunday being 0."""
    return _as_float((_day_number(values) + 4) % 7)  # 1970-01-01 was a Thursday


def day_of_month(values: np.ndarray) -> np.ndarray:
    """Return the day of the month, from 1."""
    return _as_float(_civil(values)[2])


def day_of_year(values: np.ndarray) -> np.ndarray:
    """Return the day of the year, from 1."""
    year, month, day = _civil(values)
    after_leap_day = _is_leap(year) & (month > 2)
    return _as_float(_DAYS_BEFORE_MONTH[month - 1] + day + after_leap_day)


def days_in_month(values: np.ndarray) -> np.ndarray:
    """Return how many days the month has."""
    year, month, _ = _civil(values)
    return _as_float(_DAYS_IN_MONTH[month - 1] + (_is_leap(year) & (month == 2)))


def month(values: np.ndarray) -> np.ndarray:
    """Return the month, 1 to 12."""
    return _as_float(_civil(values)[1])


def year(values: np.ndarray) -> np.ndarray:
    """Return the year, astronomically counted (the year before 1 is 0)."""
    return _as_float(_civil(values)[0])
