"""Migrations: complete, once, by many at a time, and after a death in the middle."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg2
import pytest
from tidegauge.errors import Unavailable
from tidegauge.storage import migrate
from tidegauge.storage.faults import DatabaseFault
from tidegauge.storage.migrate import apply_migrations, pending_migrations


def run(url: str, statement: str) -> list[tuple]:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_everything_is_applied_once_and_in_order(database_url: str, repository: Path) -> None:
    files = sorted(path.stem for path in (repository / "migrations").glob("*.sql"))

    assert pending_migrations(database_url) == files
    assert apply_migrations(database_url) == files
    assert apply_migrations(database_url) == []
    assert pending_migrations(database_url) == []


def test_many_at_once_apply_everything_once(database_url: str) -> None:
    expected = pending_migrations(database_url)
    applied: list[str] = []
    threads = [
        threading.Thread(target=lambda: applied.extend(apply_migrations(database_url)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert applied == expected


def test_a_failed_migration_leaves_nothing_and_the_next_try_goes_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "0001_good.sql").write_text("CREATE TABLE good (a int);")
    bad = tmp_path / "0002_bad.sql"
    bad.write_text("CREATE TABLE bad (a int);\nSELECT nonsense;")
    monkeypatch.setattr(migrate, "_SOURCE", str(tmp_path))

    with pytest.raises((DatabaseFault, Unavailable), match="nonsense"):
        apply_migrations(database_url)
    assert run(database_url, "SELECT to_regclass('good')::text, to_regclass('bad')::text") == [
        ("good", None)
    ]

    bad.write_text("CREATE TABLE bad (a int);")
    assert apply_migrations(database_url) == ["0002_bad"]


def test_a_lock_left_by_a_killed_process_holds_nobody_up(database_url: str) -> None:
    apply_migrations(database_url)
    run(database_url, "INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
    run(database_url, "DROP TABLE _yoyo_version, schema_migrations, _yoyo_log CASCADE")

    assert len(pending_migrations(database_url)) >= 2


def test_a_lock_that_is_held_for_too_long_is_told(database_url: str) -> None:
    times = iter(range(0, 10_000, 25))
    holder = psycopg2.connect(database_url)
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (migrate._LOCK_KEY,))

    with pytest.raises(Unavailable, match="another process"):
        apply_migrations(database_url, monotonic=lambda: next(times), sleep=lambda _: None)

    holder.close()


def test_a_database_that_is_away_is_told() -> None:
    with pytest.raises(Unavailable):
        apply_migrations("postgresql://nobody@127.0.0.1:1/nothing")
