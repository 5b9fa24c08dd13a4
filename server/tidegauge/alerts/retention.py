"""Keeps the past of alerts for as long as the settings say: the leading evaluator removes the rest.

In slices with pauses between them, beside the evaluation: however much has gathered, nobody waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from tidegauge.errors import Unavailable
from tidegauge.storage.alert_retention import AlertRetention

SLICE_ROWS = 1000
LOOK_EVERY_S = 60.0
NEXT_SLICE_AFTER_S = 2.0


class PastKeeper:
    """Removes what is older than it need be; for one thread.

    Args:
        retention: removes rows.
        keep_days: what is younger stays.
        is_leading: whether this process is the one that works.
        log: is told what went.
    """

    def __init__(
        self,
        *,
        retention: AlertRetention,
        keep_days: int,
        is_leading: Callable[[], bool],
        log: FilteringBoundLogger,
    ) -> None:
        self._retention, self._keep_days = retention, keep_days
        self._is_leading, self._log = is_leading, log

    def run(self, stop: threading.Event) -> None:
        """Remove what gets too old until the event is set."""
        while not stop.wait(NEXT_SLICE_AFTER_S if self.step() else LOOK_EVERY_S):
            pass

    def step(self) -> bool:
        """Remove one slice if it is this one's turn; return whether there may be more."""
        if not self._is_leading():
            return False
        try:
            gone = self._retention.remove_old(keep_days=self._keep_days, limit=SLICE_ROWS)
        except Unavailable as fault:
            self._log.warning("the past of alerts cannot be removed now", reason=fault.message)
            return False
        if gone.events or gone.notifications:
            self._log.info(
                "the past of alerts was removed",
                events=gone.events,
                notifications=gone.notifications,
                keep_days=self._keep_days,
            )
        return SLICE_ROWS in (gone.events, gone.notifications)
