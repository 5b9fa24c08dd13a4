"""The instruments of ingestion and its writer, behind the `IngestMeter` that these speak to."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_BUCKETS_POINTS = (1, 10, 100, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)


class IngestInstruments:
    """Counts what comes in, is refused, is written.

    Args:
        registry: where the instruments are listed.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "ingest_requests_total",
            "Ingestion requests, by HTTP status.",
            ["status"],
            registry=registry,
        )
        self._latency_s = Histogram(
            "ingest_latency_seconds",
            "Time from the arrival of an ingestion request to its answer.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._points = Counter(
            "ingest_points_total",
            "Samples that became durable.",
            ["protocol"],
            registry=registry,
        )
        self._rejected = Counter(
            "ingest_rejected_points_total", "Samples refused.", ["code"], registry=registry
        )
        self._not_stored = Counter(
            "ingest_not_stored_total",
            "Exemplars and histograms that came and are not stored yet.",
            ["kind"],
            registry=registry,
        )
        self._bypassed = Counter(
            "ingest_guard_bypassed_series_total",
            "New series that passed without the cardinality guard, the database being away.",
            registry=registry,
        )
        self._make_writer(registry)

    def _make_writer(self, registry: CollectorRegistry) -> None:
        self._batch_s = Histogram(
            "ingest_batch_write_seconds",
            "Time of one write of the batch writer, commit included.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._batch_points = Histogram(
            "ingest_batch_points",
            "Samples in one write of the batch writer.",
            buckets=BATCH_BUCKETS_POINTS,
            registry=registry,
        )
        self._messages = Counter(
            "ingest_messages_written_total", "Messages committed.", registry=registry
        )
        self._retries = Counter(
            "ingest_write_retries_total",
            "Writes tried again because storage was away.",
            registry=registry,
        )
        self._given_up = Counter(
            "ingest_messages_given_up_total",
            "Messages whose senders were told to send again, storage having stayed away.",
            registry=registry,
        )
        self._dead = Counter(
            "ingest_messages_dead_lettered_total",
            "Messages put aside for good.",
            registry=registry,
        )

    def request_answered(self, status: int, seconds: float) -> None:
        """One ingestion request has its answer."""
        self._requests.labels(status).inc()
        self._latency_s.observe(seconds)

    def points_accepted(self, protocol: str, count: int) -> None:
        """Samples became durable."""
        self._points.labels(protocol).inc(count)

    def points_rejected(self, code: str, count: int) -> None:
        """Samples were refused."""
        self._rejected.labels(code).inc(count)

    def not_stored(self, kind: str, count: int) -> None:
        """Things came that are not stored yet."""
        self._not_stored.labels(kind).inc(count)

    def guard_bypassed(self, series: int) -> None:
        """New series passed without the cardinality guard."""
        self._bypassed.inc(series)

    def batch_written(self, messages: int, points: int, seconds: float) -> None:
        """The writer committed one batch."""
        self._messages.inc(messages)
        self._batch_points.observe(points)
        self._batch_s.observe(seconds)

    def write_retried(self) -> None:
        """The writer tries a batch again."""
        self._retries.inc()

    def messages_given_up(self, count: int) -> None:
        """Storage stayed away through every retry."""
        self._given_up.inc(count)

    def message_dead_lettered(self) -> None:
        """One message was put aside for good."""
        self._dead.inc()
