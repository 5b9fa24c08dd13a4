"""The pool: bounded, patient for so long, and whole again after any failure."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from psycopg2 import sql
from tidegauge.config import TraceConfig
from tidegauge.errors import Cancelled, DeadlineExceeded, InvalidInput, Unavailable
from tidegauge.storage.cancellation import Cancellation
from tidegauge.storage.faults import DatabaseFault
from tidegauge.storage.pool import Pool

from tests.support.servers import wait_until
from tests.support.spans import Traced
from tests.unit.storage.silent_relay import SilentAfterLogin

MakePool = Callable[..., Pool]


@pytest.fixture
def make_pool(database_url: str) -> Iterator[MakePool]:
    made: list[Pool] = []

    def make(**settings: int) -> Pool:
        given = {"size": 2, "connect_timeout_s": 5, "statement_timeout_s": 30} | settings
        made.append(Pool(database_url, **given, application_name="pool-test"))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def ask(pool: Pool, statement: str = "SELECT 1", deadline_s: float | None = None) -> object:
    with pool.transaction(deadline_s=deadline_s) as lent:
        lent.execute(statement)
        row = lent.fetchone()
        return row[0] if row else None


def test_a_connection_is_used_again(make_pool: MakePool) -> None:
    pool = make_pool()

    backends = {ask(pool, "SELECT pg_backend_pid()") for _ in range(5)}

    assert len(backends) == 1
    assert ask(pool, "SHOW application_name") == "pool-test"
    assert ask(pool, "SHOW TimeZone") == "UTC"


def test_a_transaction_is_committed_or_rolled_back_whole(make_pool: MakePool) -> None:
    pool = make_pool()
    with pool.transaction() as lent:
        lent.execute("CREATE TABLE t (a int)")

    def fail_halfway() -> None:
        with pool.transaction() as lent:
            lent.execute("INSERT INTO t VALUES (1)")
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert ask(pool, "SELECT count(*) FROM t") == 0
    assert pool.in_use == 0


def test_a_full_pool_is_told_after_a_while(make_pool: MakePool) -> None:
    pool = make_pool(size=2, connect_timeout_s=0)
    with pool.transaction(), pool.transaction():
        assert pool.in_use == 2
        with pytest.raises(Unavailable, match="TIDEGAUGE_DB_POOL_SIZE"):
            ask(pool)

    assert ask(pool) == 1


def test_a_waiting_caller_gets_the_next_free_connection(make_pool: MakePool) -> None:
    pool = make_pool(size=1)
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(pool))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert answers == [1] * 8


def test_a_deadline_cancels_the_statement_in_the_database(
    make_pool: MakePool, database_url: str
) -> None:
    pool = make_pool()

    with pytest.raises(DeadlineExceeded):
        ask(pool, "SELECT pg_sleep(60)", deadline_s=time.monotonic() + 0.05)

    assert pool.in_use == 0
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(6%' AND state = 'active'"
    )
    assert ask(pool, running) == 1  # this question itself


def test_a_deadline_that_has_passed_asks_nothing(make_pool: MakePool) -> None:
    with pytest.raises(DeadlineExceeded):
        ask(make_pool(), deadline_s=time.monotonic() - 1)


def test_a_statement_without_deadline_has_a_limit_too(make_pool: MakePool) -> None:
    pool = make_pool(statement_timeout_s=1)

    with pytest.raises(Unavailable, match="too long"):
        ask(pool, "SELECT pg_sleep(60)")


def test_connections_that_the_server_closed_are_replaced(
    make_pool: MakePool, database_url: str
) -> None:
    pool = make_pool()
    before = ask(pool, "SELECT pg_backend_pid()")
    other = psycopg2.connect(database_url)
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))
        assert cursor.fetchone() == (True,)
    other.close()

    assert ask(pool, "SELECT pg_backend_pid()") != before


def test_a_connection_lost_in_a_transaction_is_told_and_replaced(make_pool: MakePool) -> None:
    pool = make_pool()

    with pytest.raises(Unavailable):
        ask(pool, "SELECT pg_terminate_backend(pg_backend_pid())")

    assert (ask(pool), pool.in_use) == (1, 0)


def test_a_server_that_does_not_react_at_all_is_hung_up_on(make_pool: MakePool) -> None:
    pool = make_pool()
    backend = ask(pool, "SELECT pg_backend_pid()")
    assert isinstance(backend, int)
    try:
        os.kill(backend, signal.SIGSTOP)
        with pytest.raises(DeadlineExceeded, match="react"):
            ask(pool, deadline_s=time.monotonic() + 0.05)
        assert ask(pool) == 1
    finally:
        os.kill(backend, signal.SIGCONT)


def test_a_database_that_is_away_is_told_and_used_when_it_is_there(database_url: str) -> None:
    pool = Pool(
        "postgresql://nobody@127.0.0.1:1/nothing",
        size=1,
        connect_timeout_s=1,
        statement_timeout_s=5,
    )
    for _ in range(3):
        with pytest.raises(Unavailable):
            ask(pool)

    assert pool.in_use == 0
    pool.close()


@pytest.mark.parametrize(
    ("statement", "family"),
    [
        ("SELECT 1/0", InvalidInput),
        ("SELECT 'x'::uuid", InvalidInput),
        ("SELECT * FROM nothing_of_this_name", Unavailable),
        ("SELECT nonsense(", DatabaseFault),
        ("DO $$ BEGIN RAISE disk_full; END $$", Unavailable),
        ("DO $$ BEGIN RAISE deadlock_detected; END $$", Unavailable),
        ("DO $$ BEGIN RAISE read_only_sql_transaction; END $$", Unavailable),
        ("DO $$ BEGIN RAISE program_limit_exceeded; END $$", InvalidInput),
    ],
)
def test_faults_come_as_the_families_that_others_know(
    make_pool: MakePool, statement: str, family: type[Exception]
) -> None:
    pool = make_pool()

    with pytest.raises(family):
        ask(pool, statement)

    assert ask(pool) == 1


def test_a_closed_pool_lends_nothing(make_pool: MakePool) -> None:
    pool = make_pool()
    with pool.transaction():
        pool.close()

    with pytest.raises(Unavailable, match="closed"):
        ask(pool)


@pytest.mark.parametrize(
    "rows", ["SELECT pg_sleep(60)", "SELECT repeat('x', 9999), pg_sleep(0.001)"]
)
def test_a_server_that_stops_while_rows_are_copied_out_is_unavailable(
    make_pool: MakePool, rows: str
) -> None:
    pool = make_pool()
    signalled = threading.Event()

    def copy_out() -> None:
        with pool.transaction(deadline_s=time.monotonic() + 30) as lent:
            lent.execute("SELECT pg_backend_pid()")
            row = lent.fetchone()
            assert row is not None
            stopper = threading.Thread(target=stop_when_copying, args=(row[0],))
            stopper.start()
            try:
                lent.copy_expert(
                    f"COPY ({rows} FROM generate_series(1, 60000)) TO STDOUT (FORMAT BINARY)",
                    io.BytesIO(),
                )
            finally:
                stopper.join()

    def stop_when_copying(backend: int) -> None:
        copying = f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {backend}"
        while not ask(pool, copying):
            pass
        os.kill(backend, signal.SIGTERM)
        signalled.set()

    with pytest.raises(Unavailable):
        copy_out()

    assert signalled.is_set()
    assert (ask(pool), pool.in_use) == (1, 0)


def test_a_server_that_falls_silent_after_connecting_is_hung_up_on(database_url: str) -> None:
    with SilentAfterLogin(database_url) as relay:
        pool = Pool(relay.url, size=1, connect_timeout_s=1, statement_timeout_s=1)

        with pytest.raises(Unavailable):
            ask(pool)

        assert pool.in_use == 0
        pool.close()


def test_a_transaction_whose_client_stands_still_does_not_keep_its_locks(
    make_pool: MakePool,
) -> None:
    pool = make_pool(statement_timeout_s=7)

    assert ask(pool, "SHOW idle_in_transaction_session_timeout") == "9s"


def test_commits_are_durable_where_the_database_says_otherwise(
    make_pool: MakePool, database_url: str
) -> None:
    with psycopg2.connect(database_url) as admin, admin.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        (name,) = cursor.fetchone()
        cursor.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name))
        )
    admin.close()

    assert ask(make_pool(), "SHOW synchronous_commit") == "on"


def test_commits_wait_for_replicas_where_the_database_says_so(
    make_pool: MakePool, database_url: str
) -> None:
    with psycopg2.connect(database_url) as admin, admin.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        (name,) = cursor.fetchone()
        cursor.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit = remote_apply").format(
                sql.Identifier(name)
            )
        )
    admin.close()

    assert ask(make_pool(), "SHOW synchronous_commit") == "remote_apply"


def test_a_statement_is_ended_from_another_thread_and_its_connection_not_lent_again(
    make_pool: MakePool,
) -> None:
    pool, cancellation = make_pool(), Cancellation()
    backends: list[object] = []
    begun = threading.Event()

    def read() -> None:
        with pool.transaction(deadline_s=time.monotonic() + 60, cancellation=cancellation) as lent:
            lent.execute("SELECT pg_backend_pid()")
            backends.extend(lent.fetchone() or ())
            begun.set()
            lent.execute("SELECT pg_sleep(60)")

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read)
        assert begun.wait(30)
        wait_until(lambda: _sleeps(pool), timeout_s=30, what="the statement runs")
        cancellation.request()
        with pytest.raises(Cancelled):
            reading.result(30)

    again = {ask(pool, "SELECT pg_backend_pid()") for _ in range(3)}
    assert not again & set(backends)
    assert pool.in_use == 0


def test_a_statement_that_is_cancelled_before_it_begins_does_not_begin(make_pool: MakePool) -> None:
    pool, cancellation = make_pool(), Cancellation()
    cancellation.request()

    with pytest.raises(Cancelled), pool.transaction(cancellation=cancellation):
        pytest.fail("it began")
    assert pool.in_use == 0


def test_cancelling_what_is_over_disturbs_nobody(make_pool: MakePool) -> None:
    pool, cancellation = make_pool(size=1), Cancellation()
    with pool.transaction(cancellation=cancellation) as lent:
        lent.execute("SELECT pg_backend_pid()")
        backend = (lent.fetchone() or (0,))[0]

    cancellation.request()

    assert ask(pool, "SELECT pg_backend_pid()") == backend


def test_a_transaction_is_a_span(make_pool: MakePool) -> None:
    traced = Traced(TraceConfig(exporter="console"))
    try:
        ask(make_pool())
    finally:
        traced.tracing.close()

    assert [line["name"] for line in traced.lines()] == ["db.query"]


def _sleeps(pool: Pool) -> bool:
    statement = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
    return bool(ask(pool, statement))
