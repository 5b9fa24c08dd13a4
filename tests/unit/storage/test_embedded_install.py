"""The embedded PostgreSQL's footing: programs, users, folders."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from tidegauge.storage.embedded_install import ServerUser, can_enter, find_programs
from tidegauge.storage.embedded_settings import render_settings, server_settings

MIB = 1024 * 1024


def test_wheel_holds_postgresql_18() -> None:
    programs = find_programs()

    assert (programs / "initdb").is_file()
    assert (programs / "postgres").is_file()


def test_folder_of_mode_0700_is_closed_to_others(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    inner = closed / "inner"
    inner.mkdir(parents=True)
    closed.chmod(0o700)
    owner = closed.stat()

    assert not can_enter(inner, ServerUser("stranger", owner.st_uid + 7, owner.st_gid + 7))


def test_root_folder_is_open_to_everybody() -> None:
    assert can_enter(Path("/"), ServerUser("stranger", 65000, 65000))


@pytest.mark.parametrize(
    ("memory_mib", "buffers"), [(256, "32MB"), (2048, "128MB"), (64 * 1024, "192MB")]
)
def test_buffers_follow_memory_within_bounds(memory_mib: int, buffers: str) -> None:
    assert server_settings(memory_mib * MIB)["shared_buffers"] == buffers


def test_settings_are_durable_by_default() -> None:
    settings = server_settings(4096 * MIB)

    durable = {name: settings[name] for name in ("fsync", "synchronous_commit", "full_page_writes")}
    assert set(durable.values()) == {"on"}


def test_quotes_in_settings_are_doubled() -> None:
    assert "application_name = 'it''s'\n" in render_settings({"application_name": "it's"})


def test_fresh_databases_are_empty_and_utf8(database_url: str) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)
        cursor.execute("SHOW server_encoding")
        assert cursor.fetchone() == ("UTF8",)
