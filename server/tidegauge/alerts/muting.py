"""What keeps alerts quiet now: silences, and maintenance windows that are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.recurrence import find_zone, list_occurrences
from tidegauge.errors import InvalidInput
from tidegauge.model.labels import Labels
from tidegauge.model.maintenance import MaintenanceWindow, Occurrence
from tidegauge.model.silences import Muting, fit
from tidegauge.storage.maintenance_windows import MaintenanceWindows
from tidegauge.storage.silences import Silences

# Far more than a round of evaluations takes: a window that opens in its midst is seen.
AHEAD_MS = 300_000
_MANY = 1000


@dataclass(frozen=True, slots=True)
class PlannedQuiet:
    """A maintenance window with the times that it is open, as far as they were looked for.

    Args:
        window: the window.
        occurrences: these times.
    """

    window: MaintenanceWindow
    occurrences: Sequence[Occurrence]

    @property
    def details(self) -> Mapping[str, object]:
        """What the event of a muted alert says of it."""
        return {"maintenance_window_id": self.window.id}

    def covers(self, labels: Labels, now_ms: int) -> bool:
        """Return whether nobody is told of an alert with these labels now."""
        return any(one.holds(now_ms) for one in self.occurrences) and fit(
            self.window.matchers, labels
        )


class Mutings:
    """Reads what mutes alerts; safe to use from many threads.

    Args:
        silences: those for a while.
        windows: those by plan.
        log: is told of a window that cannot be read.
    """

    def __init__(
        self, *, silences: Silences, windows: MaintenanceWindows, log: FilteringBoundLogger
    ) -> None:
        self._silences, self._windows, self._log = silences, windows, log

    def read_standing(self, now_ms: int) -> list[Muting]:
        """Return all that mutes some alert now or in the next minutes, silences first.

        Raises:
            Unavailable.
        """
        return [
            *self._silences.read_standing(now_ms),
            *(
                one
                for window in self._windows.read_enabled()
                if (one := self._plan(window, now_ms)) is not None
            ),
        ]

    def _plan(self, window: MaintenanceWindow, now_ms: int) -> PlannedQuiet | None:
        try:
            zone = find_zone(window.zone)
        except InvalidInput as exc:
            # Zones are renamed now and then. One that is not known here must not stop the
            # evaluation, and of what nobody can say that it is muted people are told.
            self._log.error(
                "a maintenance window is not heeded", window_id=window.id, reason=exc.message
            )
            return None
        found = list_occurrences(
            window.schedule, zone, from_ms=now_ms, until_ms=now_ms + AHEAD_MS, limit=_MANY
        )
        return PlannedQuiet(window, found) if found else None
