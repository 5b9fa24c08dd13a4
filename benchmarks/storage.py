"""Measures the columnar engine by itself: appending, bytes on disk, reading into frames.

    .venv/bin/python -m benchmarks.storage [--url URL] [--quick]

Without a URL it starts a PostgreSQL of its own in a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
from psycopg2 import sql
from tidegauge.config import DatabaseConfig
from tidegauge.model.labels import make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.storage.embedded import EmbeddedPostgres
from tidegauge.storage.migrate import apply_migrations
from tidegauge.storage.opening import Storage, open_storage
from tidegauge.storage.protocol import ReadBudget, StoredBatch

DAY_START_MS = 1_767_225_600_000
SCRAPE_MS = 15_000


class Clock:
    """A wall clock that the benchmark moves, so that a day of arrivals takes seconds."""

    def __init__(self) -> None:
        self.now_ms = DAY_START_MS

    def __call__(self) -> int:
        return self.now_ms


class Fleet:
    """Registered series, spread evenly over metrics, and the batches that they send."""

    def __init__(
        self, storage: Storage, clock: Clock, prefix: str, series: int, metrics: int
    ) -> None:
        self._storage, self._clock = storage, clock
        labels = [
            make_labels(
                {
                    "__name__": f"{prefix}_{i % metrics}",
                    "job": "bench",
                    "instance": f"host-{i // metrics}:9100",
                    **{f"label_{k}": f"value-{(i // metrics) % (k + 2)}" for k in range(8)},
                }
            )
            for i in range(series)
        ]
        keys = storage.catalogue.register_series(labels)
        self._series_ids = np.array([keys[one].series_id for one in labels], np.int32)
        self._metric_ids = np.array([keys[one].metric_id for one in labels], np.int32)
        self._values = np.random.default_rng(seed=1).random(series)
        self._next = 0

    def append(self, samples: int) -> None:
        """Send the next so many samples, one message; a scrape later where all series sent."""
        count = len(self._series_ids)
        if self._next >= count:
            self._next = 0
            self._clock.now_ms += SCRAPE_MS
        part = slice(self._next, self._next + samples)
        self._next += samples
        self._storage.engine.append(
            StoredBatch(
                [os.urandom(16)],
                np.zeros(samples, np.int32),
                self._series_ids[part],
                self._metric_ids[part],
                np.full(samples, self._clock.now_ms, np.int64),
                self._values[part],
            )
        )


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Make an empty, migrated database on this server, and drop it in the end."""
    name = f"bench_{os.getpid()}"
    with contextlib.closing(psycopg2.connect(server_url)) as admin:
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(
                    sql.Identifier(name)
                )
            )
            try:
                url = psycopg2.extensions.make_dsn(server_url, dbname=name)
                apply_migrations(url)
                yield url
            finally:
                cursor.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                )


@contextlib.contextmanager
def some_server(url: str | None) -> Iterator[str]:
    """Return the server at `url`, or start one."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="tidegauge-bench-") as folder:
        server = EmbeddedPostgres(Path(folder))
        server.start()
        try:
            yield server.url_of("postgres", superuser=True)
        finally:
            server.stop()


def read_disk_bytes(url: str) -> int:
    """Return the size of all arrivals on disk, indexes and TOAST included."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) FROM pg_inherits"
            " WHERE inhparent = 'arrivals'::regclass"
        )
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])


def timed(work: Callable[[], Any], times: int = 1) -> float:
    """Return the median of so many runs, in seconds."""
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def measure_append(url: str, series: int, metrics: int, samples: int, flushes: int) -> str:
    """Append so many flushes of so many samples; return a line of the table."""
    clock = Clock()
    storage = open_storage(DatabaseConfig(), url=url, clock_ms=clock)
    fleet = Fleet(storage, clock, f"append_{samples}", series, metrics)
    fleet.append(samples)
    before = read_disk_bytes(url)
    taken = timed(lambda: [fleet.append(samples) for _ in range(flushes)])
    total = flushes * samples
    size = (read_disk_bytes(url) - before) / total
    storage.close()
    name = f"append, {samples:,} samples a flush, {metrics} metrics"
    return f"{name:<52}{total / taken / 1e6:>8.2f} M/s {size:>8.1f} B/sample"


def measure_read(url: str, series: int, hours: float, times: int) -> str:
    """Store scrapes of one metric over so many hours, read them; return a line of the table."""
    clock = Clock()
    storage = open_storage(DatabaseConfig(), url=url, clock_ms=clock)
    fleet = Fleet(storage, clock, f"read_{series}", series, 1)
    scrapes = int(hours * 3_600_000 / SCRAPE_MS)
    for _ in range(scrapes):
        fleet.append(series)
    matchers = [Matcher(MatchType.EQUAL, "__name__", f"read_{series}_0")]

    def read() -> None:
        budget = ReadBudget(max_samples=50_000_000, deadline_s=time.monotonic() + 60)
        frame = storage.engine.select(matchers, DAY_START_MS, clock.now_ms, budget)
        assert len(frame.values) == series * scrapes

    read()
    taken = timed(read, times)
    storage.close()
    name = f"read, {series:,} series x {hours:g} h ({scrapes:,} rows)"
    return f"{name:<52}{series * scrapes / taken / 1e6:>8.2f} M/s {taken * 1e3:>8.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a server to use; the default starts one")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work")
    given = parser.parse_args()
    tenth = 10 if given.quick else 1
    with some_server(given.url) as server_url, fresh_database(server_url) as url:
        print(measure_append(url, 10_000, 100, 10_000, 500 // tenth))
        print(measure_append(url, 10_000, 100, 2_000, 1000 // tenth))
        print(measure_read(url, 10, 6, 21))
        print(measure_read(url, 1_000, 24 / tenth, 5))


if __name__ == "__main__":
    main()
