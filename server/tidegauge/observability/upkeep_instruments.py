"""The instruments of what an operator watches over: storage, the lease, the heartbeat."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge


class UpkeepInstruments:
    """What the evaluator that leads sees of the whole installation.

    Args:
        registry: where the instruments are listed.
    Attributes:
        lease_token: of this evaluator's latest turn; it rises whenever the lease changes hands.
        database_bytes: the whole database.
        disk_bytes, disk_free_bytes: the file system of a PostgreSQL of our own; 0: not known.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lease_token = Gauge(
            "alert_lease_token",
            "The lease's number in this evaluator's latest turn; 0: it had none.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.database_bytes = Gauge(
            "database_size_bytes",
            "Size of the whole database; 0 but in the evaluator that leads.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.disk_bytes = Gauge(
            "database_disk_bytes",
            "Size of the file system of a PostgreSQL that `tidegauge up` runs; 0: not known.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self.disk_free_bytes = Gauge(
            "database_disk_free_bytes",
            "What is free of it.",
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._series = Gauge(
            "metric_series",
            "Tag combinations of the ten metrics that have the most.",
            ["metric"],
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._heartbeats = Counter(
            "heartbeats_total",
            "Heartbeats by outcome: sent, failed, withheld since something is not well.",
            ["outcome"],
            registry=registry,
        )

    def largest_metrics(self, series: Mapping[str, int]) -> None:
        """These metrics have the most tag combinations now, and no others are told of."""
        self._series.clear()
        for name, count in series.items():
            self._series.labels(name).set(count)

    def heartbeat(self, outcome: str) -> None:
        """A heartbeat was due, and came to this."""
        self._heartbeats.labels(outcome).inc()
