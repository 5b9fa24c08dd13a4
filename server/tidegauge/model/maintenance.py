"""Maintenance windows: when, again and again or once, nobody is told of some alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

from tidegauge.model.matchers import Matcher


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A time of day on certain days; a day must fit each of the fields that are not empty.

    Args:
        start: the time of day at which it begins, by the wall clock of the window's zone.
        duration_ms: how long it lasts, in real time.
        weekdays: 0 is Monday.
        days_of_month: 1 is the first day, -1 the last.
        months: 1 is January.
        first_day, last_day: the first and the last day on which it may begin; None: open.
    """

    start: time
    duration_ms: int
    weekdays: tuple[int, ...] = ()
    days_of_month: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class Once:
    """From one moment until another, by the wall clock of the window's zone.

    Args:
        begin, end: without a zone of their own.
    """

    begin: datetime
    end: datetime


Schedule = Recurrence | Once
"""When a window is open."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a window is open: from `starts_ms` on, until `ends_ms`, Unix ms."""

    starts_ms: int
    ends_ms: int

    def holds(self, now_ms: int) -> bool:
        """Return whether a moment lies within."""
        return self.starts_ms <= now_ms < self.ends_ms


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """While it is open, nobody is told of alerts whose labels fit.

    Args:
        name: what people call it.
        matchers: all of them must fit.
        zone: the IANA name of the time zone that its times are in.
        schedule: when it is open.
        enabled: whether it is, at all.
        comment: why.
        created_by: the name of whoever made it.
        id: 0 before it is stored.
        created_ms, changed_ms: Unix ms; 0 before it is stored.
    """

    name: str
    matchers: tuple[Matcher, ...]
    zone: str
    schedule: Schedule
    enabled: bool = True
    comment: str = ""
    created_by: str = ""
    id: int = 0
    created_ms: int = 0
    changed_ms: int = 0
