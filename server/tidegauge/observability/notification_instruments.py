"""The instruments of the delivery of notifications."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class NotificationInstruments:
    """Counts what became of notifications.

    Args:
        registry: where the instruments are listed.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._outcomes = Counter(
            "notifications_total",
            "Attempts to deliver, by outcome: sent, retry, failed, refused by a breaker.",
            ["channel", "outcome"],
            registry=registry,
        )

    def outcome(self, channel: str, outcome: str) -> None:
        """An attempt of this channel type came to this."""
        self._outcomes.labels(channel, outcome).inc()
