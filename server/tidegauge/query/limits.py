"""What a query may cost: time, samples, series, cells, and a place among those that run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from tidegauge.config import QueryConfig
from tidegauge.errors import DeadlineExceeded, LimitExceeded, Unavailable
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.matchers import Matcher
from tidegauge.promql.reader import SelectHints
from tidegauge.promql.value import Matrix, Result, Vector
from tidegauge.query.times import MAX_TIME_MS
from tidegauge.storage.cancellation import Cancellation
from tidegauge.storage.protocol import ReadBudget, SampleEngine

SAMPLES_SETTING = "TIDEGAUGE_QUERY_MAX_SAMPLES"
SERIES_SETTING = "TIDEGAUGE_QUERY_MAX_SERIES"
RUNNING_SETTING = "TIDEGAUGE_QUERY_MAX_SAMPLES_RUNNING"
RETRY_AFTER_S = 1
# So often a query that waits for something looks whether somebody has ended it.
LOOK_EVERY_S = 0.2


class TooBusy(Unavailable):
    """As much runs or waits as may; nothing is wrong with what was asked, or with storage."""

    code = "too_busy"


class TooManyPoints(LimitExceeded):
    """A range query asks for more points a series than allowed."""

    def __init__(self, *, reached: int, allowed: int) -> None:
        setting = "TIDEGAUGE_QUERY_MAX_POINTS"
        super().__init__("points per series", reached=reached, allowed=allowed, setting=setting)
        # The first sentence is Prometheus's own: clients and people search for it.
        self.message = (
            f"exceeded maximum resolution of {allowed:,} points per timeseries. "
            f"Try decreasing the query resolution (?step=XX), or raise {setting}"
        )
        self.args = (self.message,)


def check_points(start_ms: int, end_ms: int, step_ms: int, config: QueryConfig) -> None:
    """Refuse a grid with too many steps, counted as Prometheus counts: intervals, not fence posts.

    Raises:
        TooManyPoints: naming the setting.
    """
    intervals = (end_ms - start_ms) // step_ms
    if intervals > config.max_points:
        raise TooManyPoints(reached=intervals, allowed=config.max_points)


def count_points(result: Result) -> int:
    """Return how many points a vector or a matrix has, all series together; 0 for other values."""
    value = result.value
    if isinstance(value, Vector):
        return int(np.count_nonzero(value.present))
    return len(value.frame.times_ms) if isinstance(value, Matrix) else 0


def count_series(result: Result) -> int:
    """Return how many series a vector or a matrix has; 0 for other values."""
    value = result.value
    if isinstance(value, Vector):
        return len(value.labels)
    return len(value.frame.labels) if isinstance(value, Matrix) else 0


def check_result(result: Result, config: QueryConfig) -> None:
    """Refuse an answer that would take too much memory to write down.

    Raises:
        LimitExceeded: naming the setting.
    """
    check_answer(count_points(result), config)


def check_answer(points: int, config: QueryConfig) -> None:
    """Refuse an answer of so many points if it would take too much memory to write down.

    Raises:
        LimitExceeded: naming the setting.
    """
    if points > config.max_result_points:
        raise LimitExceeded(
            "points in its answer",
            reached=points,
            allowed=config.max_result_points,
            setting="TIDEGAUGE_QUERY_MAX_RESULT_POINTS",
        )


def too_many_cells(reached: int, allowed: int) -> LimitExceeded:
    """Return the error of a query whose vectors have too many points, series times steps."""
    return LimitExceeded(
        "points (series times steps)", reached=reached, allowed=allowed, setting=SAMPLES_SETTING
    )


def _too_many_samples(reached: int, allowed: int) -> LimitExceeded:
    return LimitExceeded("samples", reached=reached, allowed=allowed, setting=SAMPLES_SETTING)


class Deadline:
    """The moment at which a query must be done.

    Args:
        timeout_s: how long it may take from now on.
        monotonic: the monotonic clock, seconds; the same that storage uses.
        named_by: what set the time, for the message.
        by_client: whether the client itself set it, shorter than the settings do.
    Attributes:
        cancellation: ends the query before its time, from another thread.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        monotonic: Callable[[], float],
        named_by: str,
        by_client: bool = False,
    ) -> None:
        self._monotonic, self.by_client = monotonic, by_client
        self._timeout_s, self._named_by = timeout_s, named_by
        self.at_s = monotonic() + timeout_s
        self.cancellation = Cancellation()

    def remaining_s(self) -> float:
        """Return the seconds that are left, never below 0."""
        return max(0.0, self.at_s - self._monotonic())

    def check(self) -> None:
        """Return while there is time.

        Raises:
            DeadlineExceeded: there is none left.
            Cancelled: somebody ended the query.
        """
        self.cancellation.check()
        if self._monotonic() >= self.at_s:
            raise self.exceeded("was evaluated")

    def wait(self, attempt: Callable[[float], bool]) -> bool:
        """Wait for something; return whether it came in time.

        Args:
            attempt: waits so many seconds at most, and returns whether it came.
        Raises:
            Cancelled: somebody ended the query while it waited.
        """
        while not attempt(min(LOOK_EVERY_S, self.remaining_s())):
            self.cancellation.check()
            if self.remaining_s() <= 0:
                return False
        return True

    def exceeded(self, doing: str) -> DeadlineExceeded:
        """Return the error that says what went on when the time was over."""
        return DeadlineExceeded(
            f"query timed out after {self._timeout_s:g} s while it {doing}; "
            f"the limit is set by {self._named_by}"
        )


class QuerySlots:
    """Lets only so many queries run at once; the others wait, within their own deadline.

    Args:
        count: how many may run.
        max_waiting: how many may wait. Each holds a thread of the API, and those that are left
            must do for ingestion and health probes.
    """

    def __init__(self, count: int, *, max_waiting: int) -> None:
        self._count, self._max_waiting = count, max_waiting
        self._free = threading.BoundedSemaphore(count)
        self._lock = threading.Lock()
        self._waiting = 0

    @contextmanager
    def hold(self, deadline: Deadline) -> Iterator[None]:
        """Hold one place while the block runs.

        Raises:
            DeadlineExceeded: no place came free in time.
            Unavailable: too many wait already.
        """
        if not self._free.acquire(blocking=False):
            self._wait(deadline)
        try:
            yield
        finally:
            self._free.release()

    @contextmanager
    def wait_place(self) -> Iterator[None]:
        """Count as one of those that wait while the block waits for something.

        Raises:
            Unavailable: too many wait already.
        """
        with self._lock:
            if self._waiting >= self._max_waiting:
                raise TooBusy(
                    f"{self._count} queries run (TIDEGAUGE_QUERY_MAX_CONCURRENT) and "
                    f"{self._waiting} wait, which is all that TIDEGAUGE_HTTP_THREADS allows",
                    retry_after_s=RETRY_AFTER_S,
                )
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def _wait(self, deadline: Deadline) -> None:
        with self.wait_place():
            if not deadline.wait(lambda within_s: self._free.acquire(timeout=within_s)):
                raise deadline.exceeded(
                    f"waited for one of {self._count} places (TIDEGAUGE_QUERY_MAX_CONCURRENT)"
                )


class RunningSamples:
    """Counts the samples that the running queries hold; safe to use from many threads.

    What two queries read at the same moment is seen by neither, so that the sum may go over
    `most` by what is being read; never for longer than these queries run.

    Args:
        config: the limits.
    Attributes:
        most: how many all queries together may hold; a lone query is never hindered.
    """

    def __init__(self, config: QueryConfig) -> None:
        self.most = max(config.max_samples_running, config.max_samples)
        self._lock = threading.Lock()
        self._held = 0

    def free(self) -> int:
        """Return how many more may be read."""
        return max(0, self.most - self._held)

    def take(self, samples: int) -> None:
        """Note that a query holds so many more; a negative number, fewer."""
        with self._lock:
            self._held += samples


class BudgetedReader:
    """The engine's reader for one query; what all its selectors read counts together.

    Args:
        samples: where samples come from.
        config: the limits.
        deadline: when it must be done.
        lookback_ms: by how much instant selectors read further back than the first step.
        running: the samples of all running queries; `close` gives this one's back.
    Attributes:
        series_read: how many series were selected so far.
        read_until_ms: the latest time that was read so far; very early before the first.
    """

    def __init__(
        self,
        samples: SampleEngine,
        config: QueryConfig,
        deadline: Deadline,
        *,
        lookback_ms: int,
        running: RunningSamples,
    ) -> None:
        self._samples, self._config, self._deadline = samples, config, deadline
        self._lookback_ms, self._running = lookback_ms, running
        self._samples_read = 0
        self._cells = 0
        self.series_read = 0
        self.read_until_ms = -MAX_TIME_MS

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints
    ) -> SeriesFrame:
        """Read one selector's samples. See `promql.reader.Reader`."""
        self.read_until_ms = max(self.read_until_ms, end_ms)
        allowed = self._config.max_samples
        free = self._running.free()
        budget = ReadBudget(
            max_samples=min(allowed - self._samples_read, free),
            deadline_s=self._deadline.at_s,
            max_series=self._config.max_series,
            cancellation=self._deadline.cancellation,
        )
        try:
            frame = self._samples.select(matchers, start_ms, end_ms, budget)
        except LimitExceeded as exc:
            if exc.limit != "samples":
                raise
            if self._samples_read + exc.reached <= allowed:
                raise self._crowded(free) from exc
            raise _too_many_samples(self._samples_read + exc.reached, allowed) from exc
        self._samples_read += len(frame.times_ms)
        self._running.take(len(frame.times_ms))
        self.series_read += len(frame.labels)
        self._cells += len(frame.labels) * self._count_steps(start_ms, end_ms, hints)
        if self._samples_read > allowed:
            raise _too_many_samples(self._samples_read, allowed)
        if self.series_read > self._config.max_series:
            raise LimitExceeded(
                "series",
                reached=self.series_read,
                allowed=self._config.max_series,
                setting=SERIES_SETTING,
            )
        # A selector becomes a table of series by steps; its size is bounded like samples are.
        if self._cells > allowed:
            raise too_many_cells(self._cells, allowed)
        return frame

    def close(self) -> None:
        """Give back what was read: the query is over. It reads no more."""
        self._running.take(-self._samples_read)
        self._samples_read = 0

    def _crowded(self, free: int) -> TooBusy:
        most = self._running.most
        return TooBusy(
            f"the queries that run hold {most - free} of the {most} samples that may be in memory "
            f"at once, and this one needs more than are left; {RUNNING_SETTING} allows more",
            retry_after_s=RETRY_AFTER_S,
        )

    def _count_steps(self, start_ms: int, end_ms: int, hints: SelectHints) -> int:
        if hints.step_ms <= 0:
            return 1
        reach_ms = hints.range_ms or self._lookback_ms
        # The first window is open on the left: it begins a millisecond before start_ms.
        return max(0, end_ms - (start_ms - 1) - reach_ms) // hints.step_ms + 1
