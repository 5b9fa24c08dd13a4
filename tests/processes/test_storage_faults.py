"""PostgreSQL is shot while samples are written: whole or not at all, and all is well again."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from tidegauge.errors import Unavailable
from tidegauge.model.labels import Labels
from tidegauge.storage.embedded import EmbeddedPostgres
from tidegauge.storage.migrate import apply_migrations

from tests.contracts.storage_kit import NOW_MS, Kit, postgres_kit, re, series

SERIES = [series(f"m{i % 3}", i=str(i)) for i in range(300)]
RESTARTS = 6


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of this test's own, as durable as the product's."""
    postgres = EmbeddedPostgres(tmp_path)
    postgres.start()
    yield postgres
    postgres.stop()


class Appender(threading.Thread):
    """Sends message after message, each until it is stored, and notes what it was told."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(daemon=True)
        self.kit, self.done, self.failures = kit, 0, 0
        self.enough = threading.Event()
        self.progress = threading.Condition()
        self.template = kit.batch([(labels, 0, 0.0) for labels in SERIES], ids=[bytes(16)])

    def run(self) -> None:
        while not self.enough.is_set():
            number = self.done + 1
            self.template.message_ids[0] = number.to_bytes(16)  # type: ignore[index]
            self.template.times_ms[:] = NOW_MS + number
            self.template.values[:] = number
            try:
                self.kit.engine.append(self.template)
            except Unavailable:
                self.failures += 1
                self.enough.wait(0.02)
                continue
            with self.progress:
                self.done = number
                self.progress.notify()

    def wait_for(self, number: int) -> None:
        with self.progress:
            assert self.progress.wait_for(lambda: self.done >= number, timeout=60)


def test_an_immediate_stop_during_appends_leaves_whole_messages_once(
    server: EmbeddedPostgres,
) -> None:
    apply_migrations(server.url)
    kit = postgres_kit(server.url)
    appender = Appender(kit)
    appender.start()
    chance = random.Random(5)
    heals = []
    for _ in range(RESTARTS):
        appender.wait_for(appender.done + chance.randint(1, 200))
        assert server.pid is not None
        os.kill(server.pid, signal.SIGQUIT)  # what pg_ctl -m immediate sends
        while server.poll() is None:
            appender.enough.wait(0.01)
        server.start()
        begin = time.monotonic()
        appender.wait_for(appender.done + 1)
        heals.append(time.monotonic() - begin)
    appender.enough.set()
    appender.join(60)

    found: dict[Labels, list[tuple[int, float]]] = kit.read(re("__name__", "m.*"))
    expected = [(NOW_MS + number, float(number)) for number in range(1, appender.done + 1)]
    kit.close()

    assert found == dict.fromkeys(SERIES, expected)
    assert appender.failures > 0
    assert max(heals) < 10  # reliability.md, F5
    # A second arrival would outdo the first unseen: the rows themselves must be there once.
    with closing(psycopg2.connect(server.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT sum(sample_count) FROM arrivals")
        assert cursor.fetchone() == (len(SERIES) * appender.done,)


def test_reads_and_registrations_heal_after_a_restart(server: EmbeddedPostgres) -> None:
    apply_migrations(server.url)
    kit = postgres_kit(server.url)
    kit.append([(SERIES[0], 10, 1.0)])
    assert server.pid is not None
    os.kill(server.pid, signal.SIGQUIT)
    never = threading.Event()
    while server.poll() is None:
        never.wait(0.01)

    with pytest.raises(Unavailable):
        kit.read(re("__name__", "m.*"))
    with pytest.raises(Unavailable):
        kit.catalogue.register_series(SERIES[:2])
    server.start()

    kit.append([(SERIES[1], 10, 2.0)])
    assert kit.read(re("__name__", "m.*")) == {SERIES[0]: [(10, 1.0)], SERIES[1]: [(10, 2.0)]}
    kit.close()
