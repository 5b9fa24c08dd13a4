"""The services of a worker: it moves messages from RabbitMQ into the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from tidegauge.broker.protocol import Consumer
from tidegauge.config import Config
from tidegauge.errors import ConfigError
from tidegauge.ingest.writer import BatchWriter
from tidegauge.observability.exposition import Exposition
from tidegauge.observability.health import Check, Health, timed_check
from tidegauge.observability.logs import adopt_module_loggers
from tidegauge.observability.meters import Meters
from tidegauge.observability.tracing import Tracing
from tidegauge.services.exposing import open_exposition, sample_connections
from tidegauge.services.kept_alive import KeptAlive
from tidegauge.services.own_metrics import keep_own_metrics
from tidegauge.services.parts import (
    StorageParts,
    Tools,
    make_log,
    make_tracing,
    open_storage_parts,
)
from tidegauge.services.queue import open_consumer
from tidegauge.services.storing import Storing, make_writer, open_storing

OWN_METRICS_STOP_S = 8.0


@dataclass(slots=True)
class WorkerServices:
    """What a worker process runs: one writer, and the threads around it.

    Args:
        config: the settings.
        tools: clocks and logger.
        meters: the instruments.
        storage: where samples go.
        consumer: where messages come from.
        check_queue: the health of that.
        close_queue: lets go of it; what is not acknowledged is delivered again.
        writer: moves the one into the other.
        tracing: its spans.
        storing: stores what this process tells of itself.
    """

    config: Config
    tools: Tools
    meters: Meters
    storage: StorageParts
    consumer: Consumer
    check_queue: Check
    close_queue: Callable[[], None]
    writer: BatchWriter
    tracing: Tracing
    storing: Storing
    health: Health = field(init=False)
    _thread: KeptAlive = field(init=False)
    _own_metrics: KeptAlive | None = field(init=False, default=None)
    _exposition: Exposition | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._thread = KeptAlive(
            "writer", self.writer.run, monotonic=self.tools.monotonic, log=self.tools.log
        )
        self.health = Health(
            {
                "database": timed_check(self.storage.ping, monotonic=self.tools.monotonic),
                "rabbitmq": self.check_queue,
                "writer": self._thread.check,
            },
            monotonic=self.tools.monotonic,
        )

    def start(self) -> None:
        """Start writing, and showing how that goes.

        Raises:
            ConfigError: the port is taken.
        """
        worker = self.config.worker
        self._exposition = open_exposition(
            self.meters, self.health, self.storage, host=worker.host, port=worker.port
        )
        self.tracing.open()
        self._thread.start()
        self.storing.start()
        if self.config.trace.own_metrics_s:
            self._own_metrics = keep_own_metrics(
                self.config,
                self.tools,
                self.meters,
                service="worker",
                ingest=self.storing.ingest,
                refresh=lambda: sample_connections(self.meters, self.storage),
            )
            self._own_metrics.start()

    def close(self) -> None:
        """Finish the batch at hand, give back what was only fetched, let go of the database."""
        if self._own_metrics is not None:
            self._own_metrics.ask_to_stop()
            self._own_metrics.join(OWN_METRICS_STOP_S)
        self.storing.close()
        self._thread.ask_to_stop()
        self._thread.join(self.config.http.shutdown_s)
        self.close_queue()
        if self._exposition is not None:
            self._exposition.close()
        self.storage.close()
        self.tracing.close()


def build_worker(config: Config, *, log: FilteringBoundLogger | None = None) -> WorkerServices:
    """Return the services of a worker from RABBITMQ_URL into DATABASE_URL, started.

    Args:
        config: the settings.
        log: where to log; JSON lines on standard error by default.
    Raises:
        ConfigError: one of the two is not set.
    """
    for name, value in (("DATABASE_URL", config.database.url), ("RABBITMQ_URL", config.broker.url)):
        if not value:
            raise ConfigError(
                f"{name} is not set; a worker writes from RabbitMQ into a database. Without "
                "RABBITMQ_URL the API writes by itself"
            )
    tools = Tools(log=log or make_log(config, "worker"))
    adopt_module_loggers(tools.log)
    storage = open_storage_parts(config, tools, application_name="tidegauge worker")
    meters = Meters()
    queue = open_consumer(config, tools)
    services = WorkerServices(
        config=config,
        tools=tools,
        meters=meters,
        storage=storage,
        consumer=queue.consumer,
        check_queue=queue.check,
        close_queue=queue.close,
        writer=make_writer(
            config,
            consumer=queue.consumer,
            catalogue=storage.catalogue,
            engine=storage.engine,
            tools=tools,
            meters=meters,
            linger_ms=config.worker.flush_ms,
        ),
        tracing=make_tracing(config, tools, "worker"),
        storing=open_storing(config, tools, meters, storage),
    )
    services.start()
    return services
