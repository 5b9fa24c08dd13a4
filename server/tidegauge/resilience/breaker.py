"""A circuit breaker: work on a neighbour that keeps failing is refused at once, for a while.

After the manner of opossum (nodeshift.dev/opossum): a rolling window of outcomes, a share of errors
at which it opens if there were enough calls, a pause, and then one call that decides.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

from tidegauge.config import BreakerConfig
from tidegauge.errors import Unavailable

T = TypeVar("T")

BUCKETS = 10


class State(IntEnum):
    """What a breaker does with the next call."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class BreakerOpen(Unavailable):
    """The work was not tried: it failed too often lately."""

    code = "circuit_open"


class _Bucket:
    __slots__ = ("calls", "failures", "start_s")

    def __init__(self, start_s: float) -> None:
        self.start_s, self.calls, self.failures = start_s, 0, 0


class CircuitBreaker:
    """Guards calls to one neighbour; safe from any number of threads.

    A call that takes longer than the timeout counts as failed although it is let finish: a thread
    cannot be ended from outside, so what it calls must have deadlines of its own. A call that
    ends in any other exception than a failure says nothing of the neighbour, and is not counted.

    Args:
        name: for messages and metrics.
        config: window, shares and times.
        is_failure: whether an exception says that the neighbour is not well.
        on_event: is told "open", "close", "half_open", "reject", "success", "failure", "timeout",
            "unclear", "fallback", in the thread where it happens.
        monotonic: seconds.
    """

    def __init__(
        self,
        name: str,
        config: BreakerConfig,
        *,
        is_failure: Callable[[BaseException], bool],
        on_event: Callable[[str, str], None] = lambda _name, _event: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self._config = name, config
        self._is_failure, self._on_event, self._monotonic = is_failure, on_event, monotonic
        self._lock = threading.Lock()
        self._buckets: deque[_Bucket] = deque()
        self._state = State.CLOSED
        self._opened_s = 0.0
        self._trial = False

    @property
    def state(self) -> State:
        """What it does with the next call."""
        with self._lock:
            return self._current()

    def call(
        self,
        work: Callable[[], T],
        *,
        fallback: Callable[[], T] | None = None,
        excuses: Callable[[BaseException], bool] = lambda _fault: False,
    ) -> T:
        """Do the work and return its result, or that of the fallback when it is not tried.

        Args:
            excuses: whether an exception that would be a failure is none of the neighbour's here.
        Raises:
            BreakerOpen: it is not tried, and there is no fallback. Whatever the work raises.
        """
        entered, is_trial = self._enter()
        if not entered:
            self._tell("reject")
            if fallback is not None:
                self._tell("fallback")
                return fallback()
            raise self._refusal()
        started_s = self._monotonic()
        try:
            result = work()
        except BaseException as exc:
            failed = self._is_failure(exc) and not excuses(exc)
            self._leave("failure" if failed else "unclear", is_trial=is_trial)
            raise
        slow = self._monotonic() - started_s > self._config.timeout_s
        self._leave("timeout" if slow else "success", is_trial=is_trial)
        return result

    def note_recovery(self) -> None:
        """Say that what was away is back: an open breaker lets one call through at once."""
        with self._lock:
            if self._current() is not State.OPEN:
                return
            self._opened_s = self._monotonic() - self._config.reset_s
        self._tell("half_open")

    def _enter(self) -> tuple[bool, bool]:
        """Return whether the call is let in, and whether it is the one that decides."""
        with self._lock:
            state = self._current()
            if state is State.CLOSED:
                return True, False
            if state is State.OPEN or self._trial:
                return False, False
            self._trial = True
            return True, True

    def _leave(self, outcome: str, *, is_trial: bool) -> None:
        self._tell(outcome)
        changed = ""
        with self._lock:
            failed = outcome != "success"
            if is_trial:
                self._trial = False
            if outcome == "unclear":
                pass  # Nothing was learnt: where this was the trial, the next call is it.
            elif is_trial:
                changed = self._open() if failed else self._close()
            # Calls that began before it opened decide nothing; only the trial does.
            elif self._state is State.CLOSED and self._note(failed):
                changed = self._open()
        if changed:
            self._tell(changed)

    def _note(self, failed: bool) -> bool:
        """Count one outcome; return whether that is one failure too many."""
        now_s, config = self._monotonic(), self._config
        while self._buckets and self._buckets[0].start_s <= now_s - config.window_s:
            self._buckets.popleft()
        if not self._buckets or self._buckets[-1].start_s <= now_s - config.window_s / BUCKETS:
            self._buckets.append(_Bucket(now_s))
        self._buckets[-1].calls += 1
        self._buckets[-1].failures += failed
        calls = sum(bucket.calls for bucket in self._buckets)
        failures = sum(bucket.failures for bucket in self._buckets)
        enough = calls >= config.volume
        return failed and enough and failures * 100 >= calls * config.error_percent

    def _open(self) -> str:
        self._state, self._opened_s = State.OPEN, self._monotonic()
        self._buckets.clear()
        return "open"

    def _close(self) -> str:
        self._state = State.CLOSED
        return "close"

    def _current(self) -> State:
        if self._state is State.OPEN and self._left_s() <= 0:
            return State.HALF_OPEN
        return self._state

    def _left_s(self) -> float:
        return self._opened_s + self._config.reset_s - self._monotonic()

    def _refusal(self) -> BreakerOpen:
        left_s = max(1, math.ceil(min(self._left_s(), self._config.reset_s)))
        return BreakerOpen(
            f"{self.name} failed too often lately and is not tried for {left_s} s more "
            "(TIDEGAUGE_BREAKER_RESET_SECONDS)",
            retry_after_s=left_s,
        )

    def _tell(self, event: str) -> None:
        self._on_event(self.name, event)
