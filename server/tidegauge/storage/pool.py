"""A bounded pool of psycopg2 connections that heals by itself."""

from __future__ import annotations

import contextlib
import math
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, cursor
from psycopg2.extensions import connection as Connection

from tidegauge.config import DatabaseConfig
from tidegauge.errors import DeadlineExceeded, Unavailable
from tidegauge.observability.tracing import span
from tidegauge.storage.cancellation import Cancellation, cancelled
from tidegauge.storage.faults import translate
from tidegauge.storage.watchdog import Watchdog

# How long a server may overrun its own statement_timeout before the connection is cut.
_GRACE_S = 2.0
# How long it may take to tell the database that a statement shall end.
_END_STATEMENT_S = 2.0

# A client that stands still inside a transaction, or whose machine is gone, must not keep its
# locks: every registration of series waits for one row.
_SET_UP = (
    "SET TimeZone = 'UTC'; SET client_min_messages = warning; SET jit = off;"
    " SET idle_in_transaction_session_timeout = %s;"
    # A commit that a crash of the server can lose must not be acknowledged.
    " SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
_BEGIN = "BEGIN; SET LOCAL statement_timeout = %s"


class Pool:
    """Lends connections, one transaction at a time; safe to use from many threads.

    Connects when first asked, not before. A connection on which anything failed is thrown
    away, and one that the server closed meanwhile is noticed before it is lent: after a restart
    of the database the next transaction works, without anybody doing anything.

    Args:
        url: a libpq address.
        size: most connections at once; further callers wait.
        connect_timeout_s: for making a connection, and for waiting for a free one.
        statement_timeout_s: the limit of transactions that bring no deadline.
        application_name: what `pg_stat_activity` shows.
        monotonic: the clock of the deadlines, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int,
        connect_timeout_s: int,
        statement_timeout_s: int,
        application_name: str = "tidegauge",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self.size = url, size
        self._connect_timeout_s, self._statement_timeout_s = connect_timeout_s, statement_timeout_s
        self._application_name, self._monotonic = application_name, monotonic
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: deque[Connection] = deque()
        self._in_use = 0
        self._closed = False
        self._watchdog = Watchdog(monotonic=monotonic)

    @classmethod
    def from_config(
        cls,
        config: DatabaseConfig,
        *,
        url: str,
        application_name: str = "tidegauge",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Pool:
        """Return a pool as the settings want it, to the database at `url`."""
        return cls(
            url,
            size=config.pool_size,
            connect_timeout_s=config.connect_timeout_s,
            statement_timeout_s=config.statement_timeout_s,
            application_name=application_name,
            monotonic=monotonic,
        )

    @property
    def in_use(self) -> int:
        """How many connections are lent at this moment."""
        return self._in_use

    @contextlib.contextmanager
    def transaction(
        self,
        *,
        deadline_s: float | None = None,
        at_most_s: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> Iterator[cursor]:
        """Lend a cursor inside a transaction; commit at the end, roll back at any exception.

        Args:
            deadline_s: on the monotonic clock; statements are cancelled in the database when it
                has passed. None: the statement timeout of the settings.
            at_most_s: without a deadline, a limit below that of the settings: for a caller that
                can do without the answer, and hears Unavailable.
            cancellation: ends the statement from another thread.
        Raises:
            Unavailable: the database is away or busy. When it went away during the commit
                nobody can say whether that took place.
            DeadlineExceeded: deadline_s has passed.
            Cancelled: somebody asked for that.
            InvalidInput: the database refuses the data.
        """
        now_s = self._monotonic()
        if deadline_s is None:
            until_s = now_s + min(self._statement_timeout_s, at_most_s or math.inf)
        else:
            until_s = deadline_s
        if until_s <= now_s:
            raise DeadlineExceeded("the time was over before the database was asked")
        wanted = cancellation or Cancellation()
        with span("db.query"):
            connection = self._take(until_s, deadline=deadline_s is not None)
            self._watchdog.watch(connection, until_s + _GRACE_S)
            try:
                backend_pid = connection.info.backend_pid
                wanted.attach(lambda: self._end_statement(backend_pid))
                with connection.cursor() as lent:
                    # At least 1: to PostgreSQL, 0 means no limit at all.
                    left_ms = max(1, int((until_s - self._monotonic()) * 1000))
                    lent.execute(_BEGIN, (left_ms,))
                    yield lent
                    lent.execute("COMMIT")
            except psycopg2.Error as fault:
                cut = self._release(connection, wanted)
                if wanted.requested:
                    raise cancelled() from fault
                if cut and deadline_s is not None:
                    raise DeadlineExceeded("the database did not react at all in time") from fault
                raise translate(fault, deadline=deadline_s is not None) from fault
            except BaseException:
                self._release(connection, wanted)
                raise
            else:
                self._release(connection, wanted)

    def close(self) -> None:
        """Close what is idle; what is lent is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, deque()
        for connection in idle:
            _close(connection)
        self._watchdog.close()

    def _take(self, until_s: float, *, deadline: bool) -> Connection:
        wait_s = max(0.0, min(self._connect_timeout_s, until_s - self._monotonic()))
        if not self._free.acquire(timeout=wait_s):
            if deadline and self._monotonic() >= until_s:
                raise DeadlineExceeded(f"all {self.size} database connections stayed busy")
            raise Unavailable(
                f"all {self.size} database connections stayed busy for {wait_s:g} s;"
                " TIDEGAUGE_DB_POOL_SIZE allows more"
            )
        try:
            connection = self._find_idle() or self._connect()
        except BaseException:
            self._free.release()
            raise
        with self._lock:
            self._in_use += 1
        return connection

    def _find_idle(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if _is_alive(connection):
                return connection
            _close(connection)

    def _connect(self) -> Connection:
        if self._closed:
            raise Unavailable("the database pool is closed")
        try:
            connection = psycopg2.connect(
                self._url,
                connect_timeout=self._connect_timeout_s,
                application_name=self._application_name,
            )
            self._set_up(connection)
        except psycopg2.Error as fault:
            raise translate(fault, deadline=False) from fault
        return connection

    def _set_up(self, connection: Connection) -> None:
        # Something in between may answer the log-in and then wait for the database itself.
        until_s = self._monotonic() + self._connect_timeout_s + _GRACE_S
        self._watchdog.watch(connection, until_s)
        try:
            connection.autocommit = True
            idle_ms = int((self._statement_timeout_s + _GRACE_S) * 1000)
            with connection.cursor() as fresh:
                fresh.execute(_SET_UP, (idle_ms,))
        finally:
            self._watchdog.release(connection)

    def _end_statement(self, backend_pid: int) -> None:
        # Not libpq's own cancel request: that waits for the network without any limit, and
        # psycopg2 holds the interpreter's lock meanwhile.
        with self.transaction(at_most_s=_END_STATEMENT_S) as lent:
            lent.execute("SELECT pg_cancel_backend(%s)", (backend_pid,))

    def _release(self, connection: Connection, wanted: Cancellation) -> bool:
        settled = not wanted.detach() and _is_settled(connection)
        cut = self._watchdog.release(connection)
        with self._lock:
            self._in_use -= 1
            keep = settled and not cut and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            _close(connection)
        self._free.release()
        return cut


def _is_alive(connection: Connection) -> bool:
    # An idle connection has nothing to say: readable means that the server has hung up.
    poller = select.poll()
    try:
        poller.register(connection.fileno(), select.POLLIN)
    except psycopg2.Error:
        return False
    return not poller.poll(0)


def _is_settled(connection: Connection) -> bool:
    """Bring a connection out of a failed transaction; return whether it can be lent again."""
    if connection.closed:
        return False
    if connection.info.transaction_status == TRANSACTION_STATUS_IDLE:
        return True
    try:
        with connection.cursor() as last:
            last.execute("ROLLBACK")
    except psycopg2.Error:
        return False
    return connection.info.transaction_status == TRANSACTION_STATUS_IDLE


def _close(connection: Connection) -> None:
    with contextlib.suppress(psycopg2.Error):
        connection.close()
