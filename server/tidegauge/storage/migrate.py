"""Brings a database's schema up to date: the numbered SQL files of `migrations/`, by yoyo.

yoyo reads, orders and records the migrations. Two of its habits would leave a database stuck
when a process is killed: it records a migration in a transaction of its own, after the one that
applied it, and its lock is a row that stays behind. So the loop here applies and records in one
transaction, and the lock is an advisory one that ends with its connection
(docs/decisions/migrations.md).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlBackend
from yoyo.connections import DatabaseURI

from tidegauge.errors import Unavailable
from tidegauge.storage.faults import translate

_SOURCE = "package:tidegauge.migrations:"
_RECORD = "schema_migrations"
_LOCK_KEY = 0x7469646567617567  # "tidegaug"
_CONNECT_TIMEOUT_S = 5
_WAIT_S = 60
_LOOK_EVERY_S = 0.1
_TRY_LOCK = "SELECT pg_try_advisory_lock(%s)"


def apply_migrations(
    url: str,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Apply what the database at `url` lacks; return the names of the migrations applied.

    Each is one transaction with its record. Several processes at once are safe: one works, the
    others wait for it and find nothing to do.

    Raises:
        Unavailable: the database is away, or another process held the lock for a minute.
        DatabaseFault: a migration failed; it left nothing behind, those before it stay.
    """
    applied = []
    with _open(url, monotonic, sleep) as backend:
        for migration in backend.to_apply(_read_files()):
            with backend.transaction():
                migration.process_steps(backend, "apply")
                backend.mark_one(migration, log=False)
            applied.append(str(migration.id))
    return applied


def pending_migrations(
    url: str,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Return the names of the migrations that the database at `url` lacks, in order.

    Raises:
        Unavailable: the database is away, or another process held the lock for a minute.
    """
    with _open(url, monotonic, sleep) as backend:
        return [str(migration.id) for migration in backend.to_apply(_read_files())]


def _read_files() -> Any:
    # The folder is a package, so that it is found wherever it is installed; yoyo takes every
    # Python file for a migration.
    return read_migrations(_SOURCE).filter(lambda migration: migration.is_raw_sql())


@contextlib.contextmanager
def _open(
    url: str, monotonic: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[Any]:
    try:
        # libpq reads the address, so that it means here what it means everywhere.
        given = parse_dsn(url)
        given.setdefault("connect_timeout", _CONNECT_TIMEOUT_S)
        name = given.pop("dbname", None)
        backend = PostgresqlBackend(
            DatabaseURI("postgresql", None, None, None, None, name, given), _RECORD
        )
        with backend:
            _lock(backend.connection, monotonic, sleep)
            backend.create_lock_table()
            # Whoever left yoyo's own lock behind is gone: the lock that counts is ours.
            backend.break_lock()
            yield backend
    except psycopg2.Error as fault:
        raise translate(fault, deadline=False) from fault


def _lock(
    connection: Connection, monotonic: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    # Nothing unlocks: the caller closes the connection, and the lock ends with it.
    until_s = monotonic() + _WAIT_S
    with connection.cursor() as asking:
        asking.execute(_TRY_LOCK, (_LOCK_KEY,))
        while asking.fetchone() != (True,):
            if monotonic() >= until_s:
                raise Unavailable(f"another process has been migrating for {_WAIT_S} s")
            sleep(_LOOK_EVERY_S)
            asking.execute(_TRY_LOCK, (_LOCK_KEY,))
