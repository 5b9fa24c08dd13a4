"""The services behind the routes of one API process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.marks import list_marks
from tidegauge.alerts.service import AlertService
from tidegauge.alerts.silencing import SilenceService
from tidegauge.annotations.service import AnnotationService
from tidegauge.cache.opening import open_cache
from tidegauge.cache.protocol import Cache
from tidegauge.config import Config
from tidegauge.dashboards.guarded import is_dashboard_failure
from tidegauge.errors import Unavailable
from tidegauge.ingest.guarded import GuardedPublisher, is_publish_failure
from tidegauge.ingest.service import IngestService
from tidegauge.ingest.writer import BatchWriter
from tidegauge.observability.health import Health, Status, timed_check
from tidegauge.observability.logs import adopt_module_loggers
from tidegauge.observability.meters import Meters
from tidegauge.observability.tracing import Tracing
from tidegauge.query.admission import is_query_failure
from tidegauge.query.all_running import EXCHANGE_EVERY_S, AllQueries
from tidegauge.query.freshness import WatchedSamples, WriteWatch
from tidegauge.query.limits import RunningSamples
from tidegauge.query.listings import Listings
from tidegauge.query.parsing import QueryParser
from tidegauge.query.raw import RawReads
from tidegauge.query.service import QueryService
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.resilience.ratelimit import RateLimiter
from tidegauge.services.asking import make_admission, make_engine
from tidegauge.services.dashboards import (
    DashboardServices,
    keep_provisioned,
    make_dashboards,
)
from tidegauge.services.guards import Guard, answers, make_breaker
from tidegauge.services.kept_alive import KeptAlive
from tidegauge.services.own_metrics import keep_own_metrics
from tidegauge.services.parts import (
    QueueParts,
    StorageParts,
    Tools,
    make_log,
    make_tracing,
    open_storage_parts,
)
from tidegauge.services.people import People, make_people
from tidegauge.services.queue import open_queue
from tidegauge.services.result_cache import make_result_cache
from tidegauge.services.worker import make_writer
from tidegauge.storage.protocol import Catalogue, SampleEngine

SAMPLE_EVERY_S = 1.0
SAMPLER_STOP_S = 5.0
OWN_METRICS_STOP_S = 8.0


@dataclass(slots=True)
class Services:
    """What the routes use, and the threads behind it.

    `start` before the first request, `close` after the last one has its answer. The writer is
    there when the queue is inside this process; with RabbitMQ the workers have theirs.
    """

    config: Config
    tools: Tools
    meters: Meters
    parser: QueryParser
    query: QueryService
    listings: Listings
    raw: RawReads
    queries: AllQueries
    annotations: AnnotationService
    alerts: AlertService | None
    silences: SilenceService | None
    ingest: IngestService
    storage: StorageParts
    queue: QueueParts
    writer: BatchWriter | None
    cache: Cache
    tracing: Tracing
    guards: Sequence[Guard]
    limiter: RateLimiter
    people: People | None
    dashboards: DashboardServices | None
    health: Health = field(init=False)
    accepting: bool = field(init=False, default=False)
    _threads: dict[str, KeptAlive] = field(init=False, default_factory=dict)
    _own_metrics: KeptAlive | None = field(init=False, default=None)
    _closing: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.writer is not None:
            self._threads["writer"] = self._keep_alive("writer", self._write)
        self._threads["sampler"] = self._keep_alive("sampler", self._sample)
        if self.dashboards is not None and self.config.dashboards.folder:
            self._threads["dashboards"] = self._keep_alive("dashboards", self._load_dashboards)
        if self.config.cache.url:
            self._threads["queries"] = self._keep_alive("queries", self._exchange_queries)
        if self.config.trace.own_metrics_s:
            self._own_metrics = keep_own_metrics(
                self.config,
                self.tools,
                self.meters,
                service="api",
                ingest=self.ingest,
                refresh=self.sample_meters,
            )
        checks = {
            # With a durable queue samples are taken in while the database is away.
            "database": timed_check(
                self.storage.ping,
                monotonic=self.tools.monotonic,
                away=Status.UNHEALTHY if self.writer is not None else Status.DEGRADED,
            ),
            self.queue.name: self.queue.check,
        }
        if self.writer is not None:
            checks["writer"] = self._threads["writer"].check
        if self.config.cache.url:
            checks["redis"] = timed_check(
                self.cache.ping, monotonic=self.tools.monotonic, away=Status.DEGRADED
            )
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
        self.tracing.open()
        for thread in self._threads.values():
            thread.start()
        if self._own_metrics is not None:
            self._own_metrics.start()
        self.accepting = True

    def close(self) -> None:
        """Stop in order: write what was accepted, answer who waits for it, let go of the database.

        May be called twice, and without `start`.
        """
        with self._closing:
            self.accepting = False
            if self._own_metrics is not None:
                # Their end is written by the writer, so they end before it does.
                self._own_metrics.ask_to_stop()
                self._own_metrics.join(OWN_METRICS_STOP_S)
            for thread in self._threads.values():
                thread.ask_to_stop()
            if self.queue.drained is not None and self.queue.drained.depth() == 0:
                # Nothing is to be drained: wakes a writer that waits for work.
                self.queue.close()
            for name, thread in self._threads.items():
                thread.join(self.config.http.shutdown_s if name == "writer" else SAMPLER_STOP_S)
            # Whoever came too late for the writer hears that nothing was stored.
            self.queue.close()
            self.cache.close()
            self.storage.close()
            self.tracing.close()

    def sample_meters(self) -> None:
        """Bring the gauges of this process up to date."""
        try:
            self.meters.queue_depth.set(self.queue.depth())
        except Unavailable:
            # The health check says so; the last depth that was seen stays.
            self.tools.log.debug("the depth of the queue is not known now")
        for guard in self.guards:
            guard.look(self.meters)
        self.meters.db_connections_active.set(self.storage.connections_active())
        self.meters.db_connections_limit.set(self.storage.connections_limit)

    def _keep_alive(self, name: str, work: Callable[[threading.Event], None]) -> KeptAlive:
        return KeptAlive(name, work, monotonic=self.tools.monotonic, log=self.tools.log)

    def _write(self, stop: threading.Event) -> None:
        if self.writer is not None:
            self.writer.run(stop)

    def _exchange_queries(self, stop: threading.Event) -> None:
        while not stop.wait(EXCHANGE_EVERY_S):
            self.queries.exchange()

    def _load_dashboards(self, stop: threading.Event) -> None:
        if self.dashboards is not None:
            keep_provisioned(
                self.dashboards.provisioning,
                stop,
                scan_s=self.config.dashboards.scan_s,
                tools=self.tools,
            )

    def _sample(self, stop: threading.Event) -> None:
        while not stop.wait(SAMPLE_EVERY_S):
            self.sample_meters()


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
    tools = Tools(log=log or make_log(config, "api"))
    adopt_module_loggers(tools.log)
    storage = open_storage_parts(config, tools, application_name="tidegauge api")
    services = assemble(
        config,
        storage=storage,
        tools=tools,
        meters=Meters(directory=meters_folder, queue_is_shared=bool(config.broker.url)),
    )
    services.start()
    return services


def assemble(config: Config, *, storage: StorageParts, tools: Tools, meters: Meters) -> Services:
    """Return the services over any storage, not started yet."""
    queue = open_queue(config, tools)
    publishing = make_breaker("ingestion", config, tools, meters, is_failure=is_publish_failure)
    asking = make_breaker("queries", config, tools, meters, is_failure=is_query_failure)
    drawing = make_breaker("dashboards", config, tools, meters, is_failure=is_dashboard_failure)
    cache = open_cache(
        config.cache,
        max_connections=config.http.threads,
        monotonic=tools.monotonic,
        new_id=tools.new_id,
        on_error=meters.cache.failed,
        log=tools.log,
    )
    limiter = RateLimiter(
        config.cache, on_failure=meters.resilience.uncounted, monotonic=tools.monotonic
    )
    watch = WriteWatch()
    samples = WatchedSamples(storage.engine, watch)
    parser = QueryParser(max_depth=config.query.max_depth)
    admission = make_admission(
        config, tools, meters, max_waiting=_count_waiting(config), breaker=asking
    )
    running = RunningSamples(config.query)
    alerts = _make_alerts(storage, parser, tools)
    return Services(
        config=config,
        tools=tools,
        meters=meters,
        parser=parser,
        query=QueryService(
            samples=samples,
            engine=make_engine(config),
            parser=parser,
            admission=admission,
            running=running,
            config=config.query,
            meters=meters,
            monotonic=tools.monotonic,
            cache=make_result_cache(config, tools, meters, cache, watch, admission),
        ),
        listings=Listings(
            catalogue=storage.catalogue, parser=parser, admission=admission, config=config.query
        ),
        raw=RawReads(samples=samples, admission=admission, running=running, config=config.query),
        queries=AllQueries(admission.running, board=cache if config.cache.url else None),
        annotations=_make_annotations(storage, alerts),
        alerts=alerts,
        silences=SilenceService(silences=storage.alerts.silences, clock_ms=tools.clock_ms)
        if storage.alerts is not None
        else None,
        ingest=IngestService(
            publisher=GuardedPublisher(queue.publisher, publishing),
            catalogue=storage.catalogue,
            config=config.ingest,
            confirm_timeout_s=queue.confirm_timeout_s,
            max_message_bytes=queue.max_message_bytes,
            meter=meters.ingest,
            monotonic=tools.monotonic,
        ),
        storage=storage,
        queue=queue,
        writer=_make_own_writer(config, queue, storage.catalogue, samples, tools, meters),
        cache=cache,
        tracing=make_tracing(config, tools, "api"),
        guards=_make_guards((asking, drawing), publishing, storage, queue),
        limiter=limiter,
        people=make_people(storage.people, config, tools, cache, limiter)
        if storage.people is not None
        else None,
        dashboards=make_dashboards(
            storage.dashboards, config, tools, cache=cache, parser=parser, breaker=drawing
        )
        if storage.dashboards is not None
        else None,
    )


def _make_alerts(storage: StorageParts, parser: QueryParser, tools: Tools) -> AlertService | None:
    if storage.alerts is None:
        return None
    return AlertService(
        rules=storage.alerts.rules,
        events=storage.alerts.events,
        parser=parser,
        clock_ms=tools.clock_ms,
    )


def _make_annotations(storage: StorageParts, alerts: AlertService | None) -> AnnotationService:
    if alerts is None:
        return AnnotationService(store=storage.annotations)
    return AnnotationService(store=storage.annotations, list_alerts=partial(list_marks, alerts))


def _make_own_writer(
    config: Config,
    queue: QueueParts,
    catalogue: Catalogue,
    engine: SampleEngine,
    tools: Tools,
    meters: Meters,
) -> BatchWriter | None:
    """Return the writer of a queue inside this process; with RabbitMQ the workers have theirs."""
    if queue.drained is None:
        return None
    return make_writer(
        config,
        consumer=queue.drained,
        catalogue=catalogue,
        engine=engine,
        tools=tools,
        meters=meters,
        linger_ms=config.ingest.flush_ms,
    )


def _make_guards(
    reading: Sequence[CircuitBreaker],
    publishing: CircuitBreaker,
    storage: StorageParts,
    queue: QueueParts,
) -> tuple[Guard, ...]:
    def database_answers() -> bool:
        return answers(storage.ping)

    def queue_takes() -> bool:
        return queue.check().ready

    # What is published inside this process is confirmed by the database's commit.
    behind = database_answers if queue.drained is not None else queue_takes
    return (
        *(Guard(breaker, database_answers) for breaker in reading),
        Guard(publishing, behind),
    )


def _count_waiting(config: Config) -> int:
    """Return how many queries may wait: a quarter of the threads is for ingestion and probes."""
    threads = config.http.threads
    return max(1, threads - threads // 4 - config.query.max_concurrent)
