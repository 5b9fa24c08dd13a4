"""The services behind the routes of one API process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.acknowledging import AcknowledgeService
from tidegauge.alerts.backtest.service import BacktestService
from tidegauge.alerts.explain import Explainer
from tidegauge.alerts.maintenance import MaintenanceService
from tidegauge.alerts.routing import RoutingService
from tidegauge.alerts.service import AlertService
from tidegauge.alerts.silencing import SilenceService
from tidegauge.alerts.standing import Alertmanager
from tidegauge.annotations.service import AnnotationService
from tidegauge.cache.protocol import Cache
from tidegauge.config import Config
from tidegauge.errors import Unavailable
from tidegauge.ingest.service import IngestService
from tidegauge.ingest.writer import BatchWriter
from tidegauge.observability.health import Health, Status, timed_check
from tidegauge.observability.meters import Meters
from tidegauge.observability.tracing import Tracing
from tidegauge.query.all_running import EXCHANGE_EVERY_S, AllQueries
from tidegauge.query.listings import Listings
from tidegauge.query.parsing import QueryParser
from tidegauge.query.raw import RawReads
from tidegauge.query.service import QueryService
from tidegauge.resilience.ratelimit import RateLimiter
from tidegauge.services.dashboards import (
    DashboardServices,
    keep_provisioned,
)
from tidegauge.services.exposing import sample_connections
from tidegauge.services.guards import Guard
from tidegauge.services.kept_alive import KeptAlive
from tidegauge.services.own_metrics import keep_own_metrics
from tidegauge.services.parts import (
    QueueParts,
    StorageParts,
    Tools,
)
from tidegauge.services.people import People

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
    routing: RoutingService | None
    acknowledging: AcknowledgeService | None
    backtests: BacktestService
    maintenance: MaintenanceService | None
    explainer: Explainer | None
    alertmanager: Alertmanager | None
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
        self.meters.queue_limit.set(self.queue.limit)
        try:
            self.meters.queue_depth.set(self.queue.depth())
        except Unavailable:
            # The health check says so; the last depth that was seen stays.
            self.tools.log.debug("the depth of the queue is not known now")
        for guard in self.guards:
            guard.look(self.meters)
        sample_connections(self.meters, self.storage)

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
