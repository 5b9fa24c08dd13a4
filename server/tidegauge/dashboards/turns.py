"""One change at a time to one dashboard, within a process.

Between processes the version decides who came first, and the others try again. Without turns all
threads of a process would compete that way, and the slowest of them could lose every time. Who
waits here holds no connection to the database.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from tidegauge.errors import Conflict

STRIPES = 64
"""Dashboards share so many locks: two that share one wait for each other, which does no harm."""
WAIT_S = 10.0


class Turns:
    """Lets one thread at a time change a dashboard."""

    def __init__(self) -> None:
        self._locks = [threading.Lock() for _ in range(STRIPES)]

    @contextlib.contextmanager
    def wait(self, dashboard_id: int) -> Iterator[None]:
        """Run the block when nobody else's runs.

        Raises:
            Conflict: others took all the time there is.
        """
        lock = self._locks[dashboard_id % STRIPES]
        if not lock.acquire(timeout=WAIT_S):
            raise Conflict(
                f"others were changing dashboard {dashboard_id} for {WAIT_S:g} s; try again"
            )
        try:
            yield
        finally:
            lock.release()
