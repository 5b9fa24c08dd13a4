"""Opens the storage that the settings ask for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tidegauge.config import DatabaseConfig
from tidegauge.storage.annotations import PostgresAnnotations
from tidegauge.storage.catalogue import PostgresCatalogue
from tidegauge.storage.columnar import ColumnarEngine
from tidegauge.storage.pool import Pool
from tidegauge.storage.protocol import AnnotationStore, Catalogue, SampleEngine


@dataclass(frozen=True, slots=True)
class Storage:
    """A pool, and the catalogue, the engine and the annotations that use it."""

    pool: Pool
    catalogue: Catalogue
    engine: SampleEngine
    annotations: AnnotationStore

    def close(self) -> None:
        """Close the connections."""
        self.pool.close()


def open_storage(
    config: DatabaseConfig,
    *,
    url: str,
    application_name: str = "tidegauge",
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    monotonic: Callable[[], float] = time.monotonic,
) -> Storage:
    """Return the storage at `url`. It connects when first used, and not before.

    Args:
        config: pool size, timeouts, engine.
        url: a libpq address of a migrated database.
        application_name: what `pg_stat_activity` shows.
        clock_ms: Unix ms, for times of arrival and registration.
        monotonic: the clock of deadlines, in seconds.
    """
    pool = Pool.from_config(config, url=url, application_name=application_name, monotonic=monotonic)
    catalogue = PostgresCatalogue(pool=pool, clock_ms=clock_ms, monotonic=monotonic)
    engine = ColumnarEngine(
        pool=pool,
        selector=catalogue.selector,
        partition_s=config.arrivals_partition_s,
        clock_ms=clock_ms,
        monotonic=monotonic,
    )
    return Storage(pool, catalogue, engine, PostgresAnnotations(pool=pool))
