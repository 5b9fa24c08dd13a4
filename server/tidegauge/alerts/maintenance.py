"""Makes, changes, deletes and shows maintenance windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from tidegauge.alerts.recurrence import find_zone, list_occurrences
from tidegauge.alerts.silencing import MAX_ID, check_matchers, check_text
from tidegauge.auth.actor import Actor
from tidegauge.errors import InvalidInput, NotFound
from tidegauge.model.maintenance import MaintenanceWindow, Occurrence, Once, Recurrence
from tidegauge.storage.maintenance_windows import MaintenanceWindows

MAX_NAME_CHARS = 200
MIN_DURATION_MS, MAX_DURATION_MS = 60_000, 7 * 86_400_000
MAX_ONCE = timedelta(days=366)
FIRST_YEAR, LAST_YEAR = 1970, 2199
# A 29 February that is a Monday comes every 28 years, and none from 2097 to 2103.
AHEAD_MS = 40 * 366 * 86_400_000


class MaintenanceService:
    """Maintenance windows; safe to use from many threads.

    Args:
        windows: keeps them.
        clock_ms: Unix ms.
    """

    def __init__(self, *, windows: MaintenanceWindows, clock_ms: Callable[[], int]) -> None:
        self._windows, self._clock_ms = windows, clock_ms

    def add(self, window: MaintenanceWindow, actor: Actor) -> MaintenanceWindow:
        """Store a window, and return it with its id.

        Raises:
            InvalidInput: it would cover everything, or never be open. Conflict: there are too many.
            Unavailable.
        """
        self.check(window)
        entry = actor.entry("maintenance-window.create", details={"name": window.name})
        return self._windows.add(replace(window, created_by=actor.name), entry)

    def change(self, window_id: int, window: MaintenanceWindow, actor: Actor) -> MaintenanceWindow:
        """Put a window in the place of another; who made it, and when, stays.

        Raises:
            NotFound. InvalidInput: as `add`. Unavailable.
        """
        self.check(window)
        changed = replace(window, id=_known(window_id))
        target = f"maintenance-window:{window_id}"
        entry = actor.entry("maintenance-window.update", target, {"name": window.name})
        return self._windows.replace(changed, entry)

    def delete(self, window_id: int, actor: Actor) -> None:
        """Delete a window; what it muted and still fires is told.

        Raises:
            NotFound, Unavailable.
        """
        entry = actor.entry("maintenance-window.delete", f"maintenance-window:{window_id}")
        self._windows.delete(_known(window_id), entry)

    def read(self, window_id: int) -> MaintenanceWindow:
        """Return one window.

        Raises:
            NotFound, Unavailable.
        """
        return self._windows.read(_known(window_id))

    def list_page(self, *, after: int, limit: int) -> list[MaintenanceWindow]:
        """Return windows in the order of their ids, those that are over too.

        Raises:
            Unavailable.
        """
        return self._windows.read_page(after=after, limit=limit)

    def list_next(self, window: MaintenanceWindow, limit: int) -> list[Occurrence]:
        """Return when a window is open next, or is now; as it would be if it is switched off.

        Raises:
            InvalidInput: its time zone is not known here.
        """
        now_ms = self._clock_ms()
        zone = find_zone(window.zone)
        return list_occurrences(
            window.schedule, zone, from_ms=now_ms, until_ms=now_ms + AHEAD_MS, limit=limit
        )

    def check(self, window: MaintenanceWindow) -> None:
        """Return if a window could be stored.

        Raises:
            InvalidInput: as `add`.
        """
        if not 1 <= len(window.name) <= MAX_NAME_CHARS:
            raise InvalidInput(
                f"name: it has {len(window.name)} characters, not 1 to {MAX_NAME_CHARS}"
            )
        check_text("name", window.name)
        check_text("comment", window.comment)
        check_matchers(window.matchers)
        if isinstance(window.schedule, Once):
            _check_once(window.schedule)
        else:
            _check_recurrence(window.schedule)
        # One that is over may be kept, switched off.
        if not self.list_next(window, limit=1) and window.enabled:
            raise InvalidInput(
                "the window is never open from now on: all is over, or no such day comes "
                "within 40 years"
            )


def _check_once(once: Once) -> None:
    _check_year("once.from", once.begin.date())
    _check_year("once.until", once.end.date())
    if once.end <= once.begin:
        raise InvalidInput("once.until: it does not lie after once.from")
    if once.end - once.begin > MAX_ONCE:
        raise InvalidInput(f"once.until: it lies more than {MAX_ONCE.days} days after once.from")


def _check_recurrence(recurrence: Recurrence) -> None:
    if not MIN_DURATION_MS <= recurrence.duration_ms <= MAX_DURATION_MS:
        raise InvalidInput(
            f"recurrence.duration: {recurrence.duration_ms / 1000:g} s is not from 1 minute to "
            "7 days; a longer time has its beginning and end in `once`"
        )
    for day in recurrence.days_of_month:
        if not 1 <= abs(day) <= 31:
            raise InvalidInput(
                f"recurrence.days_of_month: {day} is not from 1 to 31, or, from the end, -31 to -1"
            )
    for month in recurrence.months:
        if not 1 <= month <= 12:
            raise InvalidInput(f"recurrence.months: {month} is not from 1 to 12")
    first, last = recurrence.first_day, recurrence.last_day
    for field, limit in (("recurrence.first_day", first), ("recurrence.last_day", last)):
        if limit is not None:
            _check_year(field, limit)


def _check_year(field: str, day: date) -> None:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise InvalidInput(f"{field}: its year is not from {FIRST_YEAR} to {LAST_YEAR}")


def _known(window_id: int) -> int:
    # What is no id of ours is not there, either; the table could not even hold it.
    if not 0 < window_id <= MAX_ID:
        raise NotFound(f"there is no maintenance window {window_id}")
    return window_id
