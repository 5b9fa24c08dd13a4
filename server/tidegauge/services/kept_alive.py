"""A thread whose work is started again when it fails in a way that nobody foresaw."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from tidegauge.observability.health import CheckResult, Status

RESTART_AFTER_S = 1.0
# So long work that had to be started again shows in the health.
FAILURE_SHOWN_S = 60.0


class KeptAlive:
    """Runs `work(stop)` in a thread of its own until it returns; a failure gives a fresh start.

    Args:
        name: for logs and the thread.
        work: returns once the event it gets is set.
        monotonic: seconds.
        log: is told of failures.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[threading.Event], None],
        *,
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._name, self._work = name, work
        self._monotonic, self.log = monotonic, log
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._failed_s = -math.inf

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(
            target=self._run, name=f"tidegauge-{self._name}", daemon=True
        )
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Set the event that the work gets; may be called twice, and without `start`."""
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the work, and say so if it does not come in time."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.join(timeout_s)
        if thread.is_alive():
            self.log.error("thread did not stop in time", thread=thread.name)

    def check(self) -> CheckResult:
        """Return its health: degraded for a while after a failure, unhealthy when it is not run."""
        if self._thread is None or not self._thread.is_alive():
            return CheckResult(Status.UNHEALTHY, {"failures": self._failures})
        lately = self._monotonic() - self._failed_s < FAILURE_SHOWN_S
        status = Status.DEGRADED if lately else Status.HEALTHY
        return CheckResult(status, {"failures": self._failures} if lately else {})

    def _run(self) -> None:
        # The work deals with every fault it knows; for any other it gets a fresh start, since
        # without it nothing more would be done until somebody restarts the process.
        while True:
            try:
                self._work(self._stop)
                return
            except Exception:
                self.log.exception(f"the {self._name} failed")
                self._failures += 1
                self._failed_s = self._monotonic()
            if self._stop.wait(RESTART_AFTER_S):
                return
