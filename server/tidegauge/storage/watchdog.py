"""Cuts connections whose server does not react, so that no call waits for ever."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable

import psycopg2
from psycopg2.extensions import connection as Connection

_LOOK_EVERY_S = 0.5


class Watchdog:
    """Shuts the socket of every watched connection whose time is over.

    The server's own `statement_timeout` ends slow statements; this is for a server, or a
    network, that does not answer at all. The thread starts with the first watched connection.

    Args:
        monotonic: the clock of the deadlines, in seconds.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._watched: dict[int, tuple[float, Connection]] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def watch(self, connection: Connection, until_s: float) -> None:
        """Cut this connection at until_s, unless it is released before."""
        with self._changed:
            self._watched[id(connection)] = (until_s, connection)
            if len(self._watched) == 1:
                self._changed.notify()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._run, name="database-watchdog", daemon=True
                )
                self._thread.start()

    def release(self, connection: Connection) -> bool:
        """Stop watching; return whether it had been cut."""
        with self._changed:
            return self._watched.pop(id(connection), None) is None

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join(timeout=5)

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now_s = self._monotonic()
                for key, (until_s, connection) in list(self._watched.items()):
                    if now_s >= until_s:
                        del self._watched[key]
                        _cut(connection)
                self._changed.wait(_LOOK_EVERY_S if self._watched else None)


def _cut(connection: Connection) -> None:
    # A duplicate, since the socket belongs to libpq, which must see the end of it by itself.
    # A connection that was closed in the meantime has no socket, and needs nothing.
    with (
        contextlib.suppress(OSError, psycopg2.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as twin,
    ):
        twin.shutdown(socket.SHUT_RDWR)
