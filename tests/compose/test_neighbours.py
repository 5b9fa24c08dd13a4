"""The settings of PostgreSQL and Redis in the compose file, taken by the real programs."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from tidegauge.config import load_config
from tidegauge.storage.embedded import EmbeddedPostgres

from tests.support.servers import free_port, wait_until

pytestmark = pytest.mark.services

Services = dict[str, dict[str, Any]]

_LINE = re.compile(r"^([\w.]+) = (?:'([^']*)'|(\S+))$")
# Of TimescaleDB, or the container's own; the embedded server listens on its socket alone.
_NOT_HERE = {"shared_preload_libraries", "listen_addresses"}


@pytest.fixture(scope="module")
def database_settings(repository: Path) -> dict[str, str]:
    """The settings of deploy/timescaledb/postgresql.conf."""
    text = (repository / "deploy/timescaledb/postgresql.conf").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            hit = _LINE.match(line)
            assert hit is not None, line
            found[hit[1]] = hit[2] or hit[3]
    return found


def test_postgresql_starts_with_the_settings_of_the_file(
    database_settings: dict[str, str], tmp_path: Path
) -> None:
    mine = {
        name: value
        for name, value in database_settings.items()
        if name not in _NOT_HERE and not name.startswith("timescaledb.")
    }
    server = EmbeddedPostgres(tmp_path, settings=mine)
    server.start()
    try:
        with (
            closing(psycopg2.connect(server.url, connect_timeout=5)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT name FROM pg_settings WHERE source = 'configuration file'")
            in_force = {name for (name,) in cursor}
    finally:
        server.stop()

    assert {name.lower() for name in mine} - {name.lower() for name in in_force} == set()


def test_what_makes_a_2xx_durable_is_on(database_settings: dict[str, str]) -> None:
    assert database_settings["fsync"] == "on"
    assert database_settings["synchronous_commit"] == "on"
    assert database_settings.get("full_page_writes", "on") == "on"


def test_the_database_has_a_connection_for_everybody(
    database_settings: dict[str, str], own_services: Services
) -> None:
    pools = {
        name: load_config(parts["environment"]).database.pool_size
        for name, parts in own_services.items()
        if name != "migrate"
    }

    assert sum(pools.values()) + 20 <= int(database_settings["max_connections"])


def test_redis_takes_its_arguments_and_never_evicts_what_does_not_expire(
    services: Services, tmp_path: Path
) -> None:
    program = shutil.which("redis-server")
    if program is None or shutil.which("redis-cli") is None:
        pytest.skip("redis-server: not on this machine; on Debian: apt-get install redis-server")
    _, *arguments = services["redis"]["command"]
    port = str(free_port())
    client = ["redis-cli", "-p", port]
    password = services["redis"]["environment"]["REDISCLI_AUTH"]

    def ask(*words: str, env: dict[str, str]) -> str:
        done = subprocess.run(
            [*client, *words], env=env, capture_output=True, text=True, timeout=30
        )
        return done.stdout

    command = [program, *arguments, "--bind", "127.0.0.1", "--port", port, "--dir", str(tmp_path)]
    with (tmp_path / "redis.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        env = {"REDISCLI_AUTH": password, "PATH": "/usr/bin:/bin"}
        wait_until(lambda: "PONG" in ask("ping", env=env), timeout_s=30, what="redis answers")

        assert "NOAUTH" in ask("ping", env={"PATH": "/usr/bin:/bin"})
        assert "volatile-lru" in ask("config", "get", "maxmemory-policy", env=env)
        assert str(192 * 1024 * 1024) in ask("config", "get", "maxmemory", env=env).split()
        assert ask("config", "get", "save", env=env).split() == ["save"]
    finally:
        process.terminate()
        process.wait(30)
