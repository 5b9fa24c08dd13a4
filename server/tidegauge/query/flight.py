"""Single flight: of identical work at the same time, one does it and the others get its outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tidegauge.errors import InvalidInput, QueryFailed
from tidegauge.query.limits import Deadline

T = TypeVar("T")

# These would come out the same for everybody; anything else may be the leader's own misfortune.
_EVERYBODYS = (QueryFailed, InvalidInput)


@dataclass(slots=True)
class _Flight(Generic[T]):
    landed: threading.Event = field(default_factory=threading.Event)
    outcome: list[T] = field(default_factory=list)
    error: Exception | None = None


class SingleFlight(Generic[T]):
    """Runs identical work once within this process; safe to use from many threads.

    Args:
        wait_place: held by who waits for another; raises when too many threads wait already.
    """

    def __init__(self, *, wait_place: Callable[[], AbstractContextManager[None]]) -> None:
        self._wait_place = wait_place
        self._lock = threading.Lock()
        self._flights: dict[bytes, _Flight[T]] = {}

    def run(
        self,
        key: bytes,
        *,
        deadline: Deadline,
        work: Callable[[], T],
        suits: Callable[[T], bool],
    ) -> tuple[T, bool]:
        """Return the outcome of the work, and whether another did it.

        Who waits does so within its own deadline. When the one that worked ran out of its own
        time, or found no place, the next does the work.

        Args:
            key: the same for the same work.
            deadline: of this caller.
            work: done by this caller where nobody else is at it.
            suits: whether this caller may take what another's work gave.
        Raises:
            DeadlineExceeded, Cancelled: while it waited.
            Unavailable: too many wait.
            What `work` raises; an error of the query itself is raised in all that waited.
        """
        while True:
            with self._lock:
                flight = self._flights.get(key)
                leads = flight is None
                if flight is None:
                    flight = self._flights[key] = _Flight()
            if leads:
                return self._lead(key, flight, work), False
            with self._wait_place():
                if not deadline.wait(flight.landed.wait):
                    raise deadline.exceeded("waited for the same query of another request")
            if isinstance(flight.error, _EVERYBODYS):
                raise flight.error
            if flight.outcome and suits(flight.outcome[0]):
                return flight.outcome[0], True
            deadline.check()

    def _lead(self, key: bytes, flight: _Flight[T], work: Callable[[], T]) -> T:
        try:
            outcome = work()
            flight.outcome.append(outcome)
            return outcome
        except (QueryFailed, InvalidInput) as exc:
            flight.error = exc
            raise
        finally:
            # Taken off before it lands: who comes now begins anew.
            with self._lock:
                del self._flights[key]
            flight.landed.set()
