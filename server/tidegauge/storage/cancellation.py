"""A wish from another thread that a read should end, the statement in the database included."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tidegauge.errors import Cancelled


class Cancellation:
    """Carries one wish from whoever cancels to whoever reads; safe from any thread.

    The pool attaches the statement's way to end it while a connection is lent. A connection on
    which this was used is not lent again: the database's signal may arrive late, and would end
    somebody else's statement.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._end_statement: Callable[[], None] | None = None

    @property
    def requested(self) -> bool:
        """Whether the work shall end."""
        return self._requested

    def request(self) -> None:
        """Ask for the end, and end the statement that runs now.

        Raises:
            Unavailable: the database could not be told; the work ends at its next check.
        """
        with self._lock:
            self._requested = True
            end_statement = self._end_statement
        # Without the lock: this asks the database, and the reader must be able to go on.
        if end_statement is not None:
            end_statement()

    def check(self) -> None:
        """Return while nobody has asked.

        Raises:
            Cancelled.
        """
        if self._requested:
            raise cancelled()

    def attach(self, end_statement: Callable[[], None]) -> None:
        """Note how the statement that now begins is ended.

        Raises:
            Cancelled: it need not begin.
        """
        with self._lock:
            if self._requested:
                raise cancelled()
            self._end_statement = end_statement

    def detach(self) -> bool:
        """Note that the statement is over; return whether somebody may be ending it still."""
        with self._lock:
            self._end_statement = None
            return self._requested


def cancelled() -> Cancelled:
    """Return the error of work that was ended by request."""
    return Cancelled("the query was cancelled by an administrator")
