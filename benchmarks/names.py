"""`python -m benchmarks.names`: what finding the id of a metric by its name costs, and would."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.storage.catalogue_version import read_version
from tidegauge.storage.embedded import EmbeddedPostgres
from tidegauge.storage.metric_names import MetricNames
from tidegauge.storage.migrate import apply_migrations

from tests.support.redis import run_redis

METRICS = 10_000
_FILL = "INSERT INTO metric_definitions (name) SELECT 'metric_' || n FROM generate_series(1, %s) n"


def main() -> None:
    """Measure over loopback, and print medians."""
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-bench-"))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    try:
        apply_migrations(postgres.url)
        with (
            run_redis(folder / "redis") as server,
            server.client() as client,
            contextlib.closing(psycopg2.connect(postgres.url)) as connection,
            connection.cursor() as lent,
        ):
            lent.execute(_FILL, (METRICS,))
            measure(lent, client)
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def measure(lent: psycopg2.extensions.cursor, client) -> None:
    """Time the ways to an id, and what every selection asks anyway."""
    wanted = [Matcher(MatchType.EQUAL, "__name__", "metric_4711")]
    version = read_version(lent)
    names = MetricNames()
    client.set("cache:metric:name:metric_4711", b"4711", ex=3600)
    assert names.find_ids(lent, version, wanted), "the metric is not there"

    print(f"{METRICS} metrics; medians in µs")
    show("in memory, as it is", lambda: names.find_ids(lent, version, wanted))
    show("Redis, GET", lambda: client.get("cache:metric:name:metric_4711"))
    show("the catalogue's version, asked by each selection", lambda: read_version(lent))
    show("a new process reads all names", lambda: MetricNames().find_ids(lent, version, wanted), 20)


def show(what: str, work: Callable[[], object], repeats: int = 2000) -> None:
    """Print the median time of some work."""
    times_us = []
    for _ in range(repeats):
        before_s = time.perf_counter()
        work()
        times_us.append((time.perf_counter() - before_s) * 1e6)
    print(f"{what:52}{statistics.median(times_us):>10.1f}")


if __name__ == "__main__":
    main()
