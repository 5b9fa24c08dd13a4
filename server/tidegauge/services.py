"""The one place that wires: from settings to running services, and back to rest in order."""

from __future__ import annotations

import math
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from tidegauge.broker.inprocess import InProcessBroker
from tidegauge.cache.opening import open_cache, open_local_cache
from tidegauge.cache.protocol import Cache
from tidegauge.config import Config
from tidegauge.ingest.service import IngestService
from tidegauge.ingest.writer import BatchWriter
from tidegauge.observability.health import (
    CheckResult,
    Health,
    Status,
    dispensable,
    queue_check,
    timed_check,
)
from tidegauge.observability.logs import adopt_module_loggers, make_logger
from tidegauge.observability.meters import Meters
from tidegauge.promql.engine import Engine, EngineOptions
from tidegauge.query.admission import Admission
from tidegauge.query.freshness import NobodyKnows, WatchedSamples, WriteWatch
from tidegauge.query.listings import Listings
from tidegauge.query.parsing import QueryParser
from tidegauge.query.result_cache import ResultCache
from tidegauge.query.service import QueryService
from tidegauge.storage.opening import open_storage
from tidegauge.storage.protocol import Catalogue, SampleEngine

PING_TIMEOUT_S = 2.0
SAMPLE_EVERY_S = 1.0
RESTART_AFTER_S = 1.0
# So long a writer that had to be started again shows in the health.
WRITER_FAILURE_SHOWN_S = 60.0
SAMPLER_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class StorageParts:
    """What the services need of storage, whichever kind it is.

    Args:
        engine: the samples.
        catalogue: the series.
        ping: returns when the database answers, raises when not.
        connections_active: database connections in use.
        connections_limit: the most there may be.
        close: gives everything back.
    """

    engine: SampleEngine
    catalogue: Catalogue
    ping: Callable[[], None] = lambda: None
    connections_active: Callable[[], int] = lambda: 0
    connections_limit: int = 0
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Tools:
    """The clocks, the ids and the logger that everything shares.

    Args:
        log: JSON lines.
        clock_ms: Unix ms.
        monotonic: seconds; what deadlines are measured by.
        new_id: makes a request id.
    """

    log: FilteringBoundLogger
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex


@dataclass(slots=True)
class Services:
    """What the routes use, and the threads behind it.

    `start` before the first request, `close` after the last one has its answer.
    """

    config: Config
    tools: Tools
    meters: Meters
    query: QueryService
    listings: Listings
    ingest: IngestService
    storage: StorageParts
    broker: InProcessBroker
    writer: BatchWriter
    cache: Cache
    health: Health = field(init=False)
    accepting: bool = field(init=False, default=False)
    _stop_writer: threading.Event = field(init=False, default_factory=threading.Event)
    _stop_sampler: threading.Event = field(init=False, default_factory=threading.Event)
    _threads: list[threading.Thread] = field(init=False, default_factory=list)
    _writer_failures: int = field(init=False, default=0)
    _writer_failed_s: float = field(init=False, default=-math.inf)
    _closing: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        checks = {
            "database": timed_check(self.storage.ping, monotonic=self.tools.monotonic),
            "queue": queue_check(self.broker.depth, limit=self.config.ingest.queue_messages),
            "writer": self._check_writer,
        }
        if self.config.cache.url:
            ping = timed_check(self.cache.ping, monotonic=self.tools.monotonic)
            checks["redis"] = dispensable(ping)
        self.health = Health(checks, monotonic=self.tools.monotonic)

    @property
    def log(self) -> FilteringBoundLogger:
        """The logger."""
        return self.tools.log

    @property
    def clock_ms(self) -> Callable[[], int]:
        """Unix ms."""
        return self.tools.clock_ms

    @property
    def monotonic(self) -> Callable[[], float]:
        """The monotonic clock, seconds."""
        return self.tools.monotonic

    @property
    def new_id(self) -> Callable[[], str]:
        """Makes a request id."""
        return self.tools.new_id

    def start(self) -> None:
        """Start the writer and the sampling of gauges."""
        for name, run in (("writer", self._write), ("sampler", self._sample)):
            thread = threading.Thread(target=run, name=f"tidegauge-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self.accepting = True

    def close(self) -> None:
        """Stop in order: write what was accepted, answer who waits for it, let go of the database.

        May be called twice, and without `start`.
        """
        with self._closing:
            self.accepting = False
            self._stop_writer.set()
            self._stop_sampler.set()
            if self.broker.depth() == 0:
                # Nothing is to be drained: wakes a writer that waits for work.
                self.broker.close()
            for thread, limit_s in zip(
                self._threads, (self.config.http.shutdown_s, SAMPLER_STOP_S), strict=False
            ):
                thread.join(limit_s)
                if thread.is_alive():
                    self.log.error("thread did not stop in time", thread=thread.name)
            self._threads.clear()
            # Whoever came too late for the writer hears that nothing was stored.
            self.broker.close()
            self.cache.close()
            self.storage.close()

    def sample_meters(self) -> None:
        """Bring the gauges of this process up to date."""
        self.meters.queue_depth.set(self.broker.depth())
        self.meters.db_connections_active.set(self.storage.connections_active())
        self.meters.db_connections_limit.set(self.storage.connections_limit)

    def _write(self) -> None:
        # The writer deals with every fault it knows; for any other it gets a fresh start, since
        # without it nothing more would be accepted until somebody restarts the process.
        while True:
            try:
                self.writer.run(self._stop_writer)
                return
            except Exception:
                self.log.exception("the writer failed")
                self._writer_failures += 1
                self._writer_failed_s = self.tools.monotonic()
            if self._stop_writer.wait(RESTART_AFTER_S):
                return

    def _sample(self) -> None:
        while not self._stop_sampler.wait(SAMPLE_EVERY_S):
            self.sample_meters()

    def _check_writer(self) -> CheckResult:
        running = any(thread.is_alive() for thread in self._threads[:1])
        if not running:
            return CheckResult(Status.UNHEALTHY, {"failures": self._writer_failures})
        lately = self.tools.monotonic() - self._writer_failed_s < WRITER_FAILURE_SHOWN_S
        status = Status.DEGRADED if lately else Status.HEALTHY
        return CheckResult(status, {"failures": self._writer_failures} if lately else {})


def build_services(
    config: Config,
    *,
    log: FilteringBoundLogger | None = None,
    meters_folder: Path | None = None,
) -> Services:
    """Return the services on the database at `config.database.url`, started.

    To be called in the process that serves, after any fork: it starts threads.

    Args:
        config: the settings.
        log: where to log; JSON lines on standard error by default.
        meters_folder: where several API processes add up their instruments; then
            PROMETHEUS_MULTIPROC_DIR must have named it before this process began.
    """
    tools = Tools(log=log or _make_log(config))
    adopt_module_loggers(tools.log)
    opened = open_storage(
        config.database,
        url=config.database.url,
        clock_ms=tools.clock_ms,
        monotonic=tools.monotonic,
    )

    def ping() -> None:
        with opened.pool.transaction(deadline_s=tools.monotonic() + PING_TIMEOUT_S):
            pass

    storage = StorageParts(
        engine=opened.engine,
        catalogue=opened.catalogue,
        ping=ping,
        connections_active=lambda: opened.pool.in_use,
        connections_limit=opened.pool.size,
        close=opened.close,
    )
    services = assemble(
        config, storage=storage, tools=tools, meters=Meters(directory=meters_folder)
    )
    services.start()
    return services


def assemble(config: Config, *, storage: StorageParts, tools: Tools, meters: Meters) -> Services:
    """Return the services over any storage, not started yet."""
    broker = InProcessBroker(
        max_messages=config.ingest.queue_messages,
        max_bytes=config.ingest.queue_bytes,
        monotonic=tools.monotonic,
        log=tools.log,
    )
    parser = QueryParser(max_depth=config.query.max_depth)
    admission = Admission(
        config=config.query,
        meters=meters,
        log=tools.log,
        slow_ms=config.log.slow_query_ms,
        monotonic=tools.monotonic,
        max_waiting=_count_waiting(config),
    )
    cache = open_cache(
        config.cache,
        max_connections=config.http.threads,
        monotonic=tools.monotonic,
        new_id=tools.new_id,
        on_error=meters.cache.failed,
        log=tools.log,
    )
    watch = WriteWatch()
    samples = WatchedSamples(storage.engine, watch)
    options = EngineOptions(
        lookback_ms=config.query.lookback_s * 1000,
        subquery_step_ms=config.query.subquery_step_s * 1000,
        max_points=config.query.max_samples,
    )
    return Services(
        config=config,
        tools=tools,
        meters=meters,
        query=QueryService(
            samples=samples,
            engine=Engine(options),
            parser=parser,
            admission=admission,
            config=config.query,
            meters=meters,
            monotonic=tools.monotonic,
            cache=_make_result_cache(config, tools, meters, cache, watch, admission),
        ),
        listings=Listings(
            catalogue=storage.catalogue, parser=parser, admission=admission, config=config.query
        ),
        ingest=IngestService(
            publisher=broker,
            catalogue=storage.catalogue,
            config=config.ingest,
            meter=meters.ingest,
            monotonic=tools.monotonic,
        ),
        storage=storage,
        broker=broker,
        writer=BatchWriter(
            consumer=broker,
            catalogue=storage.catalogue,
            engine=samples,
            flush_points=config.ingest.flush_points,
            linger_s=config.ingest.flush_ms / 1000,
            meter=meters.ingest,
            clock_ms=tools.clock_ms,
            monotonic=tools.monotonic,
            log=tools.log,
        ),
        cache=cache,
    )


def _make_result_cache(
    config: Config,
    tools: Tools,
    meters: Meters,
    cache: Cache,
    watch: WriteWatch,
    admission: Admission,
) -> ResultCache:
    shared = bool(config.cache.url)
    return ResultCache(
        cache=cache,
        local=open_local_cache(config.cache, monotonic=tools.monotonic, new_id=tools.new_id)
        if shared
        else cache,
        config=config.cache,
        meter=meters.cache,
        # What other processes write, this one does not hear of.
        freshness=NobodyKnows() if shared else watch,
        wait_place=admission.wait_place,
        clock_ms=tools.clock_ms,
        new_id=tools.new_id,
        wait=time.sleep,
    )


def _count_waiting(config: Config) -> int:
    """Return how many queries may wait: a quarter of the threads is for ingestion and probes."""
    threads = config.http.threads
    return max(1, threads - threads // 4 - config.query.max_concurrent)


def _make_log(config: Config) -> FilteringBoundLogger:
    return make_logger(
        sys.stderr.buffer,
        level=config.log.level,
        service="api",
        clock_ms=lambda: time.time_ns() // 1_000_000,
    )
