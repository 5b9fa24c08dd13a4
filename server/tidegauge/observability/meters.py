"""The instruments behind `/metrics`.

With one API process they live in a registry of their own. With several, prometheus_client keeps
every process's numbers in files of one directory, and whoever is asked adds them up. It decides
for that when it is first imported, by the variable `PROMETHEUS_MULTIPROC_DIR`: who starts the
processes sets it to an empty directory before, passes the same directory here, and calls
`forget_process` when one has died.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
    multiprocess,
    values,
)

from tidegauge.errors import ConfigError
from tidegauge.observability.alert_instruments import AlertInstruments
from tidegauge.observability.cache_instruments import CacheInstruments
from tidegauge.observability.ingest_instruments import LATENCY_BUCKETS_S, IngestInstruments
from tidegauge.observability.notification_instruments import NotificationInstruments
from tidegauge.observability.resilience_instruments import ResilienceInstruments
from tidegauge.observability.upkeep_instruments import UpkeepInstruments

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Figures:
    """The values of all instruments at one moment.

    Args:
        families: as a registry collects them.
    """

    def __init__(self, families: Iterable[Metric]) -> None:
        self._samples = [sample for family in families for sample in family.samples]

    def total(self, name: str) -> float:
        """Return the sum over all label sets of a sample's name; 0 where there is none."""
        return sum(sample.value for sample in self._samples if sample.name == name)

    def by_label(self, name: str, label: str) -> dict[str, float]:
        """Return the largest value of a sample's name for each value of one label."""
        found: dict[str, float] = {}
        for sample in self._samples:
            if sample.name == name and label in sample.labels:
                key = sample.labels[label]
                found[key] = max(sample.value, found.get(key, sample.value))
        return found


class Meters:
    """All instruments of one process.

    Args:
        directory: where several processes meet; None for a single one.
        queue_is_shared: all processes see the depth of the same queue, which must not be added up.
    Raises:
        ConfigError: a directory is given, but prometheus_client was imported without one.
    Attributes:
        ingest: ingestion and its writer.
        cache: what caches answer, share and fail at.
        alerts: the evaluator of alert rules.
        resilience: circuit breakers and rate limits.
        notifications: what became of notifications.
        upkeep: what the evaluator that leads sees of the whole installation.
        query_requests: queries by `kind` (instant, range, listing, raw) and `outcome`.
        query_latency_s: time of a query, waiting included, by `kind`.
        query_samples: samples that queries read.
        http_requests: requests by `status`.
        queue_depth: messages accepted by the queue and not yet committed.
        queue_limit: the most that it takes.
        db_connections_active: database connections in use.
        db_connections_limit: the most there may be.
        own_metrics_failures: rounds in which own metrics were not stored.
    """

    def __init__(self, *, directory: Path | None = None, queue_is_shared: bool = False) -> None:
        if directory is not None and values.ValueClass is values.MutexValue:
            raise ConfigError(
                "PROMETHEUS_MULTIPROC_DIR must be set before the API processes start: "
                "each of them would show only its own part in /metrics"
            )
        self._directory = directory
        self._registry = CollectorRegistry()
        if directory is None:
            ProcessCollector(registry=self._registry)
        self.ingest = IngestInstruments(self._registry)
        self.cache = CacheInstruments(self._registry)
        self.alerts = AlertInstruments(self._registry)
        self.resilience = ResilienceInstruments(self._registry)
        self.notifications = NotificationInstruments(self._registry)
        self.upkeep = UpkeepInstruments(self._registry)
        self._make_query()
        self._make_parts(queue_is_shared)

    def render(self) -> bytes:
        """Return the exposition of all processes, in Prometheus's text format."""
        return generate_latest(self._find_registry())

    def figures(self) -> Figures:
        """Return the values of all processes."""
        return Figures(self._find_registry().collect())

    def collect_own(self) -> list[Metric]:
        """Return the instruments of this process alone."""
        return list(self._registry.collect())

    def _find_registry(self) -> CollectorRegistry:
        if self._directory is None:
            return self._registry
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together, path=str(self._directory))  # type: ignore[no-untyped-call]
        return together

    def _make_query(self) -> None:
        registry = self._registry
        self.query_requests = Counter(
            "query_requests_total", "Queries.", ["kind", "outcome"], registry=registry
        )
        self.query_latency_s = Histogram(
            "query_latency_seconds",
            "Time of a query, waiting for its turn included.",
            ["kind"],
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.query_samples = Counter(
            "query_samples_total", "Samples read by queries.", registry=registry
        )

    def _make_parts(self, queue_is_shared: bool) -> None:
        registry = self._registry
        self.http_requests = Counter(
            "http_requests_total", "Requests answered.", ["status"], registry=registry
        )
        self.queue_depth = Gauge(
            "queue_depth",
            "Messages in the ingestion queue that are not committed yet.",
            multiprocess_mode="livemax" if queue_is_shared else "livesum",
            registry=registry,
        )
        self.queue_limit = Gauge(
            "queue_limit",
            "Most messages that the ingestion queue takes.",
            multiprocess_mode="livemax" if queue_is_shared else "livesum",
            registry=registry,
        )
        self.db_connections_active = Gauge(
            "db_connections_active",
            "Database connections in use.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.own_metrics_failures = Counter(
            "own_metrics_failures_total",
            "Rounds in which the product's own metrics were not stored.",
            registry=registry,
        )
        self.db_connections_limit = Gauge(
            "db_connections_limit",
            "Most database connections that the pools may open.",
            multiprocess_mode="livesum",
            registry=registry,
        )


def forget_process(directory: Path, pid: int) -> None:
    """Take the gauges of a process that has died out of the sums; its counters stay."""
    multiprocess.mark_process_dead(pid, path=str(directory))  # type: ignore[no-untyped-call]
