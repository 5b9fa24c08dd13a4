"""The thread in which a process stores its own metrics in Tidegauge itself."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterable

from prometheus_client import Metric

from tidegauge.config import Config
from tidegauge.ingest.own_metrics import OwnMetrics
from tidegauge.ingest.service import IngestService
from tidegauge.observability.meters import Meters
from tidegauge.observability.process_slot import ProcessSlot
from tidegauge.services.kept_alive import KeptAlive
from tidegauge.services.parts import Tools

_SCOPE_CHARS = 16


def keep_own_metrics(
    config: Config,
    tools: Tools,
    meters: Meters,
    *,
    service: str,
    ingest: IngestService,
    refresh: Callable[[], None],
) -> KeptAlive:
    """Return the thread that sends a process's own metrics, not started yet.

    Args:
        config: how often; which database, to tell installations apart.
        tools: clocks and logger.
        meters: the instruments.
        service: which of our processes this is ("api", "worker", "evaluator").
        ingest: takes them in.
        refresh: brings gauges up to date.
    """
    scope = hashlib.sha256(config.database.url.encode()).hexdigest()[:_SCOPE_CHARS]

    def collect() -> Iterable[Metric]:
        refresh()
        return meters.collect_own()

    def work(stop: threading.Event) -> None:
        slot = ProcessSlot(service, scope=scope)
        try:
            OwnMetrics(
                collect=collect,
                send=ingest.ingest_own,
                instance=socket.gethostname(),
                process=slot.claim(),
                every_s=config.trace.own_metrics_s,
                clock_ms=tools.clock_ms,
                monotonic=tools.monotonic,
                log=tools.log,
                on_failure=meters.own_metrics_failures.inc,
            ).run(stop)
        finally:
            slot.close()

    return KeptAlive("own-metrics", work, monotonic=tools.monotonic, log=tools.log)
