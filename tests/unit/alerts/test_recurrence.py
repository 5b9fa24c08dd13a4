"""When maintenance windows are open: calendars, clocks that are put forward and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidegauge.alerts.recurrence import find_zone, is_open, list_occurrences
from tidegauge.errors import InvalidInput
from tidegauge.model.maintenance import Occurrence, Once, Recurrence, Schedule

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BERLIN = ZoneInfo("Europe/Berlin")


def ms(text: str) -> int:
    """Return the Unix ms of a time in UTC, or with an offset."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1000


def recurring(start: str = "02:30", hours: float = 2, **fields: Any) -> Recurrence:
    return Recurrence(time.fromisoformat(start), int(hours * HOUR_MS), **fields)


def occur(
    schedule: Schedule, first: str, last: str, zone: ZoneInfo = BERLIN, limit: int = 99
) -> list[str]:
    """Return when it is open between two times, as the wall clock shows it."""
    found = list_occurrences(schedule, zone, from_ms=ms(first), until_ms=ms(last), limit=limit)

    def show(time_ms: int, form: str) -> str:
        return f"{datetime.fromtimestamp(time_ms / 1000, zone):{form}}"

    return [
        f"{show(one.starts_ms, '%a %d %b %H:%M')}-{show(one.ends_ms, '%H:%M')}" for one in found
    ]


def test_a_window_is_open_on_its_weekdays_only() -> None:
    window = recurring("22:00", weekdays=(5, 6))

    assert occur(window, "2026-11-02", "2026-11-16") == [
        "Sat 07 Nov 22:00-00:00",
        "Sun 08 Nov 22:00-00:00",
        "Sat 14 Nov 22:00-00:00",
        "Sun 15 Nov 22:00-00:00",
    ]


def test_days_of_a_month_count_from_its_end_too_and_those_it_has_not_are_left_out() -> None:
    window = recurring("12:00", days_of_month=(1, 30, -1), months=(1, 2))

    assert [one[4:10] for one in occur(window, "2027-01-01", "2028-01-01")] == [
        "01 Jan",
        "30 Jan",
        "31 Jan",
        "01 Feb",
        "28 Feb",
    ]


def test_it_neither_begins_before_its_first_day_nor_after_its_last() -> None:
    window = recurring("23:00", first_day=date(2026, 6, 2), last_day=date(2026, 6, 3))

    assert occur(window, "2026-01-01", "2027-01-01") == [
        "Tue 02 Jun 23:00-01:00",
        "Wed 03 Jun 23:00-01:00",
    ]


def test_a_window_that_began_yesterday_is_open_today() -> None:
    window = recurring("23:00", hours=30, weekdays=(0,))

    assert is_open(window, BERLIN, ms("2026-06-03T04:59+02:00"))
    assert not is_open(window, BERLIN, ms("2026-06-03T05:00+02:00"))
    assert not is_open(window, BERLIN, ms("2026-06-01T22:59+02:00"))


def test_a_beginning_that_the_clock_leaves_out_comes_as_long_after_midnight_as_ever() -> None:
    # On 29 March 2026, 02:00 becomes 03:00.
    assert occur(recurring(), "2026-03-28", "2026-03-31") == [
        "Sat 28 Mar 02:30-04:30",
        "Sun 29 Mar 03:30-05:30",
        "Mon 30 Mar 02:30-04:30",
    ]


def test_of_a_beginning_that_comes_twice_the_first_counts_and_it_lasts_as_long_as_ever() -> None:
    # On 25 October 2026, 03:00 becomes 02:00.
    (found,) = list_occurrences(
        recurring(), BERLIN, from_ms=ms("2026-10-25"), until_ms=ms("2026-10-25T12:00"), limit=9
    )

    assert found == Occurrence(ms("2026-10-25T02:30+02:00"), ms("2026-10-25T03:30+01:00"))
    assert found.ends_ms - found.starts_ms == 2 * HOUR_MS


def test_a_window_over_a_change_of_the_clock_lasts_its_real_time() -> None:
    assert occur(recurring("01:00"), "2026-03-29", "2026-03-29T12:00") == ["Sun 29 Mar 01:00-04:00"]


def test_once_is_from_a_wall_clock_to_a_wall_clock() -> None:
    over_the_change = Once(datetime(2026, 10, 24, 22), datetime(2026, 10, 25, 2, 30))

    assert list_occurrences(over_the_change, BERLIN, from_ms=0, until_ms=2**42, limit=9) == [
        Occurrence(ms("2026-10-24T22:00+02:00"), ms("2026-10-25T02:30+01:00"))
    ]
    assert occur(over_the_change, "2026-10-26", "2026-10-27") == []


def test_a_day_that_a_country_left_out_is_no_second_occurrence() -> None:
    # Samoa crossed the date line: 30 December 2011 was not there.
    found = occur(recurring(), "2011-12-29", "2012-01-01", ZoneInfo("Pacific/Apia"))

    assert [one[4:6] for one in found] == ["29", "31", "01"]


def test_zones_are_places_and_nothing_else() -> None:
    assert find_zone("Asia/Kathmandu").key == "Asia/Kathmandu"
    for name in ("Mars/Base", "", "../etc/passwd", "Europe", "localtime", "right/UTC", "x" * 999):
        with pytest.raises(InvalidInput, match="no time zone"):
            find_zone(name)


ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
).map(ZoneInfo)
TIMES_MS = st.integers(ms("2010-01-01"), ms("2030-01-01"))
SCHEDULES = st.builds(
    Recurrence,
    start=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    duration_ms=st.integers(1, 7 * 24 * 60).map(lambda minutes: minutes * 60_000),
    weekdays=st.sets(st.integers(0, 6)).map(tuple),
    days_of_month=st.sets(st.integers(1, 31) | st.integers(-31, -1), max_size=5).map(tuple),
    months=st.sets(st.integers(1, 12)).map(tuple),
)


@given(schedule=SCHEDULES, zone=ZONES, from_ms=TIMES_MS, days=st.integers(0, 60))
def test_occurrences_are_in_order_of_one_length_and_within_what_was_asked(
    schedule: Recurrence, zone: ZoneInfo, from_ms: int, days: int
) -> None:
    until_ms = from_ms + days * DAY_MS

    found = list_occurrences(schedule, zone, from_ms=from_ms, until_ms=until_ms, limit=999)

    starts = [one.starts_ms for one in found]
    assert starts == sorted(set(starts))
    assert {one.ends_ms - one.starts_ms for one in found} <= {schedule.duration_ms}
    assert all(one.ends_ms > from_ms and one.starts_ms < until_ms for one in found)
    some = list_occurrences(schedule, zone, from_ms=from_ms, until_ms=until_ms, limit=2)
    assert some == found[:2]


@given(schedule=SCHEDULES, zone=ZONES, now_ms=TIMES_MS)
def test_open_is_what_lies_in_an_occurrence_of_a_longer_list(
    schedule: Recurrence, zone: ZoneInfo, now_ms: int
) -> None:
    around = list_occurrences(
        schedule, zone, from_ms=now_ms - 20 * DAY_MS, until_ms=now_ms + DAY_MS, limit=999
    )

    assert is_open(schedule, zone, now_ms) is any(one.holds(now_ms) for one in around)


@given(schedule=SCHEDULES, zone=ZONES, from_ms=TIMES_MS)
def test_each_begins_on_a_day_that_fits_at_its_time_or_where_the_clock_jumped(
    schedule: Recurrence, zone: ZoneInfo, from_ms: int
) -> None:
    found = list_occurrences(
        schedule, zone, from_ms=from_ms, until_ms=from_ms + 40 * DAY_MS, limit=999
    )

    for one in found:
        local = datetime.fromtimestamp(one.starts_ms / 1000, zone)
        before = datetime.fromtimestamp(one.starts_ms / 1000 - 86_400, zone)
        jump = (local.utcoffset() or timedelta()) - (before.utcoffset() or timedelta())
        if local.time() != schedule.start:
            wall = local.replace(tzinfo=None) - jump
            assert (jump > timedelta(), wall.time()) == (True, schedule.start)
            local = wall
        assert not schedule.weekdays or local.weekday() in schedule.weekdays
        assert not schedule.months or local.month in schedule.months
