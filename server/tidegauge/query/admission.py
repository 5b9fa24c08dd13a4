"""How a question to the data is let in: its deadline, its place, and its measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from tidegauge.config import QueryConfig
from tidegauge.errors import Cancelled, DeadlineExceeded, LimitExceeded, Unavailable
from tidegauge.observability.meters import Meters
from tidegauge.query.limits import Deadline, QuerySlots, TooBusy
from tidegauge.query.running import RunningQueries
from tidegauge.resilience.breaker import CircuitBreaker

T = TypeVar("T")


class Admission:
    """Gives every question to the data its deadline, its place, its breaker and its measurements.

    Args:
        config: the limits.
        meters: the instruments.
        log: gets slow queries as warnings.
        slow_ms: what counts as slow.
        monotonic: the monotonic clock, seconds; storage must use the same.
        max_waiting: how many questions may wait for a place.
        running: lists the questions for who wants to see or cancel one.
        breaker: refuses at once while the database keeps failing; None for none.
    Attributes:
        running: the same.
    """

    def __init__(
        self,
        *,
        config: QueryConfig,
        meters: Meters,
        log: FilteringBoundLogger,
        slow_ms: int,
        monotonic: Callable[[], float],
        max_waiting: int,
        running: RunningQueries | None = None,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._config, self._meters, self._log = config, meters, log
        self._slow_ms, self._monotonic = slow_ms, monotonic
        self.running = running or RunningQueries(monotonic=monotonic)
        self._slots = QuerySlots(config.max_concurrent, max_waiting=max_waiting)
        self._breaker = breaker

    @contextmanager
    def admit(
        self, kind: str, *, timeout_ms: int | None, about: dict[str, object]
    ) -> Iterator[Deadline]:
        """Run the block as one of the queries that may run now, measured.

        Args:
            As `measure`.
        Raises:
            As `place`.
        """
        with (
            self.measure(kind, timeout_ms=timeout_ms, about=about) as deadline,
            self.place(deadline),
        ):
            yield deadline

    @contextmanager
    def place(self, deadline: Deadline) -> Iterator[None]:
        """Run the block as one of the queries that may run now.

        Raises:
            DeadlineExceeded: no place came free in time.
            Unavailable: too many wait already.
        """
        with self._slots.hold(deadline):
            yield

    def guard(self, deadline: Deadline, work: Callable[[], T]) -> T:
        """Do work on the database and return its result, unless that keeps failing.

        Args:
            deadline: that of the work.
        Raises:
            BreakerOpen: it was not tried. Whatever the work raises.
        """
        if self._breaker is None:
            return work()
        # A time limit that a client sets itself says nothing of the database.
        return self._breaker.call(
            work,
            excuses=lambda fault: deadline.by_client and isinstance(fault, DeadlineExceeded),
        )

    def wait_place(self) -> AbstractContextManager[None]:
        """Count as one of those that wait, for a place or for another's answer.

        Raises, when it is entered:
            Unavailable: too many wait already.
        """
        return self._slots.wait_place()

    @contextmanager
    def measure(
        self, kind: str, *, timeout_ms: int | None, about: dict[str, object]
    ) -> Iterator[Deadline]:
        """Give the block a deadline, and measure and log it; it has no place yet.

        Args:
            kind: "instant", "range", "listing" or "raw".
            timeout_ms: what the client asks for; the configured limit is the most it gets.
            about: fields for the slow-query log; the block may add to them.
        Raises:
            Cancelled: somebody ended the query.
        """
        before_s = self._monotonic()
        deadline = self._make_deadline(timeout_ms)
        outcome = "error"
        try:
            with self.running.track(kind, about, deadline):
                yield deadline
            outcome = "success"
        except Cancelled:
            outcome = "canceled"
            raise
        except DeadlineExceeded:
            outcome = "timeout"
            raise
        except LimitExceeded as exc:
            outcome = "limit"
            self._log.warning("query limit hit", kind=kind, error=exc.message, **about)
            raise
        finally:
            took_s = self._monotonic() - before_s
            self._meters.query_requests.labels(kind, outcome).inc()
            self._meters.query_latency_s.labels(kind).observe(took_s)
            if took_s * 1000 >= self._slow_ms:
                self._log.warning(
                    "slow query",
                    kind=kind,
                    outcome=outcome,
                    duration_ms=round(took_s * 1000, 1),
                    **about,
                )

    def _make_deadline(self, timeout_ms: int | None) -> Deadline:
        limit_s = float(self._config.timeout_s)
        named_by = "TIDEGAUGE_QUERY_TIMEOUT_SECONDS"
        by_client = False
        if timeout_ms is not None and timeout_ms / 1000 < limit_s:
            limit_s, named_by = max(0.0, timeout_ms / 1000), "the request's timeout parameter"
            by_client = True
        return Deadline(
            timeout_s=limit_s, monotonic=self._monotonic, named_by=named_by, by_client=by_client
        )


def is_query_failure(fault: BaseException) -> bool:
    """Return whether a fault says that the database is not well; being busy does not."""
    return isinstance(fault, Unavailable | DeadlineExceeded) and not isinstance(fault, TooBusy)
