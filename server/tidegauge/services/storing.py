"""How samples are stored: the writer, and what a process without the API makes of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegauge.broker.protocol import Consumer
from tidegauge.config import Config
from tidegauge.ingest.service import IngestService
from tidegauge.ingest.writer import BatchWriter
from tidegauge.observability.meters import Meters
from tidegauge.services.kept_alive import KeptAlive
from tidegauge.services.parts import QueueParts, StorageParts, Tools
from tidegauge.services.queue import open_queue
from tidegauge.storage.protocol import Catalogue, SampleEngine

STOP_S = 8.0


def make_writer(
    config: Config,
    *,
    consumer: Consumer,
    catalogue: Catalogue,
    engine: SampleEngine,
    tools: Tools,
    meters: Meters,
    linger_ms: int,
) -> BatchWriter:
    """Return the writer from a queue into storage."""
    return BatchWriter(
        consumer=consumer,
        catalogue=catalogue,
        engine=engine,
        flush_points=config.ingest.flush_points,
        linger_s=linger_ms / 1000,
        meter=meters.ingest,
        clock_ms=tools.clock_ms,
        monotonic=tools.monotonic,
        log=tools.log,
    )


@dataclass(slots=True)
class Storing:
    """Takes in samples that this process makes; safe from any number of threads.

    With RabbitMQ they go through the queue, and workers write them. Without, this process writes
    them itself, in a thread: `start` before the first, `close` after the last.

    Args:
        tools: clocks and logger.
        queue: carries the samples.
        ingest: takes them in; returns when they are durable.
        writer: empties the queue where it is inside this process; None where workers do.
    """

    tools: Tools
    queue: QueueParts
    ingest: IngestService
    writer: BatchWriter | None
    _thread: KeptAlive | None = field(init=False, default=None)

    def start(self) -> None:
        """Start the writer, where there is one."""
        if self.writer is not None:
            self._thread = KeptAlive(
                "writer", self.writer.run, monotonic=self.tools.monotonic, log=self.tools.log
            )
            self._thread.start()

    def close(self) -> None:
        """Write what was taken in, and let go of the queue."""
        if self._thread is not None:
            self._thread.ask_to_stop()
            self._thread.join(STOP_S)
        self.queue.close()


def open_storing(config: Config, tools: Tools, meters: Meters, storage: StorageParts) -> Storing:
    """Return what stores this process's samples, not started yet.

    Args:
        config: RABBITMQ_URL decides how.
        tools: clocks and logger.
        meters: count what a writer inside this process does.
        storage: where the samples go in the end.
    """
    queue = open_queue(config, tools)
    writer = None
    if queue.drained is not None:
        writer = make_writer(
            config,
            consumer=queue.drained,
            catalogue=storage.catalogue,
            engine=storage.engine,
            tools=tools,
            meters=meters,
            linger_ms=config.ingest.flush_ms,
        )
    return Storing(
        tools=tools,
        queue=queue,
        ingest=IngestService(
            publisher=queue.publisher,
            catalogue=storage.catalogue,
            config=config.ingest,
            confirm_timeout_s=queue.confirm_timeout_s,
            max_message_bytes=queue.max_message_bytes,
            monotonic=tools.monotonic,
        ),
        writer=writer,
    )
