"""When a maintenance window is open. Pure.

A window begins at a time of the wall clock and lasts for a real duration. Where the clock is put
forward over its beginning, it begins as long after midnight as on any other day: 02:30 is 03:30 by
the new time. Where the clock is put back and a time comes twice, it begins at the first of the two.
Source: PEP 495, `fold=0`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from tidegauge.errors import InvalidInput
from tidegauge.model.maintenance import Occurrence, Once, Recurrence, Schedule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_DAY = timedelta(days=1)
# These are what a machine happens to have, and clocks that count leap seconds.
_NO_PLACES = ("localtime", "posixrules", "posix/", "right/")


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if not name.startswith(_NO_PLACES))


def find_zone(name: str) -> ZoneInfo:
    """Return the time zone of an IANA name.

    Raises:
        InvalidInput: there is none.
    """
    if name not in _known_zones():
        raise InvalidInput(
            f'time_zone: there is no time zone "{name[:64]}"; names are such as "Europe/Berlin"'
        )
    return ZoneInfo(name)


def list_occurrences(
    schedule: Schedule, zone: ZoneInfo, *, from_ms: int, until_ms: int, limit: int
) -> list[Occurrence]:
    """Return, in order, when a window is open: what ends after one time and begins before another.

    Args:
        schedule: when it is open, by the wall clock.
        zone: whose wall clock.
        from_ms, until_ms: the two times, Unix ms, between the years 2 and 9998.
        limit: at most so many.
    """
    found: list[Occurrence] = []
    for one in _occur(schedule, zone, from_ms, until_ms):
        if len(found) == limit or one.starts_ms >= until_ms:
            break
        # Where a whole day was left out of a calendar, two days begin at one moment.
        if one.ends_ms > from_ms and (not found or found[-1] != one):
            found.append(one)
    return found


def is_open(schedule: Schedule, zone: ZoneInfo, now_ms: int) -> bool:
    """Return whether a window is open at a moment, Unix ms."""
    return bool(list_occurrences(schedule, zone, from_ms=now_ms, until_ms=now_ms + 1, limit=1))


def _occur(schedule: Schedule, zone: ZoneInfo, from_ms: int, until_ms: int) -> Iterator[Occurrence]:
    if isinstance(schedule, Once):
        yield _occur_once(schedule, zone)
        return
    # A day more on either side, since the date is another one elsewhere.
    first = _date(from_ms - schedule.duration_ms, zone) - _DAY
    last = _date(until_ms, zone) + _DAY
    for day in _list_days(schedule, first, last):
        starts_ms = _to_ms(datetime.combine(day, schedule.start), zone)
        yield Occurrence(starts_ms, starts_ms + schedule.duration_ms)


def _occur_once(once: Once, zone: ZoneInfo) -> Occurrence:
    # Of an end that comes twice the later one is meant, so that nothing is told too early.
    ends_ms = max(_to_ms(once.end, zone), _to_ms(once.end.replace(fold=1), zone))
    return Occurrence(_to_ms(once.begin, zone), ends_ms)


def _list_days(recurrence: Recurrence, first: date, last: date) -> Iterator[date]:
    day = max(first, recurrence.first_day or first)
    last = min(last, recurrence.last_day or last)
    while day <= last:
        if _fits(recurrence, day):
            yield day
        day += _DAY


def _fits(recurrence: Recurrence, day: date) -> bool:
    if recurrence.months and day.month not in recurrence.months:
        return False
    if recurrence.weekdays and day.weekday() not in recurrence.weekdays:
        return False
    if not recurrence.days_of_month:
        return True
    from_the_end = day.day - monthrange(day.year, day.month)[1] - 1
    return day.day in recurrence.days_of_month or from_the_end in recurrence.days_of_month


def _date(time_ms: int, zone: ZoneInfo) -> date:
    return (_EPOCH + time_ms * _MS).astimezone(zone).date()


def _to_ms(local: datetime, zone: ZoneInfo) -> int:
    return (local.replace(tzinfo=zone) - _EPOCH) // _MS
