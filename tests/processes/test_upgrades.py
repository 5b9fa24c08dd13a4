"""Upgrades under load: parts are replaced one by one, and migrations that were killed go on."""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg2
import pytest
import requests
from tidegauge.storage.migrate import apply_migrations

from tests.support.product import clean_environment
from tests.support.relay import (
    Forward,
    Relay,
    measure_postgresql,
    query,
    relayed_url,
    socket_of,
)
from tests.support.senders import BATCH, NOT_NOW, Sender, check_exactly_once, ingest_until
from tests.support.servers import wait_until
from tests.support.stack import SERVERS, WORKERS, Stack

pytestmark = pytest.mark.timeout(300)

# What processes of two versions say to each other, and keep in the same database.
SHARED = (
    "migrations",
    "server/tidegauge/broker/rabbitmq_messages.py",
    "server/tidegauge/broker/rabbitmq_topology.py",
    "server/tidegauge/ingest/codec.py",
)
MakeSenders = Callable[..., list[Sender]]


def replace(
    stack: Stack,
    senders: list[Sender],
    names: Sequence[str],
    environment: Mapping[str, str | None] | None = None,
) -> None:
    """Stop and start parts one by one while senders send, each once the last is at work again.

    Args:
        names: which.
        environment: changes for the new processes.
    """
    for name in names:
        for server in SERVERS:
            # nginx asks a server that was away again only after a few seconds.
            wait_until(
                partial(takes_samples, stack, server), timeout_s=30, what=f"nginx uses {server}"
            )
        assert stack.parts[name].stop() == 0
        stack.parts[name].change(environment or {})
        stack.restart(name)
        ingest_until(senders, BATCH)


def takes_samples(stack: Stack, server: str) -> bool:
    """Return whether a server has taken samples since its start."""
    url = f"{stack.parts[server].base}/metrics"
    text = requests.get(url, headers=stack.headers, timeout=10).text
    return re.search(r"^ingest_points_total\{.*\} [1-9]", text, re.MULTILINE) is not None


def check_no_failed_write(senders: list[Sender], stops: int) -> None:
    """Fail if a write was answered by anything but an acknowledgement.

    One exception: gunicorn closes its port a moment after it has stopped accepting. Who connected
    in between is told by nginx to come again; each stop can hit each sender once.
    """
    for sender in senders:
        assert set(sender.statuses) <= {202, 204, NOT_NOW}, sender.statuses
        assert (sender.unanswered, sender.without_retry_after) == (0, 0)
        assert sender.statuses[NOT_NOW] <= stops, sender.statuses


def test_a_rolling_restart_fails_no_write(
    stack: Stack, make_senders: MakeSenders, record_property: Callable[[str, object], None]
) -> None:
    senders = make_senders()
    ingest_until(senders, BATCH)
    replace(stack, senders, [*WORKERS, *SERVERS])
    check_exactly_once(stack, senders)
    record_property("come_again", sum(sender.statuses[NOT_NOW] for sender in senders))
    check_no_failed_write(senders, stops=len(SERVERS))


@pytest.fixture(scope="session")
def version_before(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code before the newest change of what versions share; skips without the history."""

    def git(*arguments: str) -> bytes:
        done = subprocess.run(
            ["git", *arguments], cwd=repository, capture_output=True, timeout=60, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"no version before is at hand: {done.stderr.decode().strip()}")
        return done.stdout

    newest = git("log", "-1", "--format=%H", "--", *SHARED).decode().strip()
    if not newest:
        pytest.skip("no version before is at hand: this is no checkout of the repository")
    folder = tmp_path_factory.mktemp("version_before")
    with tarfile.open(fileobj=io.BytesIO(git("archive", f"{newest}^"))) as tree:
        tree.extractall(folder, filter="data")
    if not (folder / "server/tidegauge/cli/worker.py").exists():
        pytest.skip(f"the version before {newest[:8]} has no worker")
    # An installed one has its migrations inside the package.
    shutil.copytree(folder / "migrations", folder / "server/tidegauge/migrations")
    return folder / "server"


def test_the_version_before_and_this_one_work_side_by_side(
    stack: Stack, make_senders: MakeSenders, version_before: Path
) -> None:
    path = {"PYTHONPATH": str(version_before)}
    # A version before refuses settings that it does not know.
    before = {**path, "TIDEGAUGE_RABBITMQ_SETTLE_SECONDS": None}
    after = {"PYTHONPATH": "", "TIDEGAUGE_RABBITMQ_SETTLE_SECONDS": "0"}
    where = [sys.executable, "-c", "import tidegauge; print(tidegauge.__file__)"]
    found = subprocess.check_output(where, env=clean_environment(**path), text=True, timeout=60)
    assert found.startswith(str(version_before)), "the test would run the version of today"

    senders = make_senders()
    ingest_until(senders, BATCH)
    # One server stays: old workers read its messages, then new ones read those of the old server.
    replace(stack, senders, [*WORKERS, SERVERS[0]], before)
    replace(stack, senders, [*WORKERS, SERVERS[0]], after)
    check_exactly_once(stack, senders)
    check_no_failed_write(senders, stops=2)


KILLED_AT = {
    "first-recorded-not-committed": [
        query("CREATE TABLE metric_definitions"),
        query("INSERT INTO", "schema_migrations"),
    ],
    "amid-the-last": [query("CREATE VIEW metrics_raw")],
}


@pytest.mark.parametrize("moment", KILLED_AT)
def test_a_migration_killed_midway_is_finished_by_the_next(
    make_database: Callable[[], str], moment: str
) -> None:
    killed, unhurt = make_database(), make_database()
    relay = Relay(socket_of(killed), measure_postgresql)
    try:
        process = subprocess.Popen(
            migrate := [sys.executable, "-m", "tidegauge", "migrate"],
            env=clean_environment(DATABASE_URL=relayed_url(killed, relay)),
            stdout=subprocess.DEVNULL,
        )

        def kill(message: bytes, forward: Forward) -> None:
            forward(message)
            process.kill()

        trap = relay.set_trap(kill, *KILLED_AT[moment])
        assert process.wait(60) == -signal.SIGKILL
        trap.wait(10)
    finally:
        relay.close()

    environment = clean_environment(DATABASE_URL=killed)
    subprocess.run(migrate, env=environment, check=True, timeout=60, capture_output=True)
    apply_migrations(unhurt)
    assert read_schema(killed) == read_schema(unhurt)


def read_schema(url: str) -> list[tuple]:
    """Return every column of every table and view, and the migrations that were recorded."""
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT table_name::text, column_name::text, data_type::text"
            " FROM information_schema.columns WHERE table_schema = 'public'"
            " UNION ALL SELECT indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public'"
            " UNION ALL SELECT migration_id, '', '' FROM schema_migrations ORDER BY 1, 2"
        )
        return cursor.fetchall()
