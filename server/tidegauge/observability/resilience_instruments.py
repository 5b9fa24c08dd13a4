"""The instruments of circuit breakers and rate limits."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ResilienceInstruments:
    """Counts what is refused to protect the rest.

    Args:
        registry: where the instruments are listed.
    Attributes:
        breaker_state: 0 closed, 1 half-open, 2 open, by `name`.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.breaker_state = Gauge(
            "circuit_breaker_state",
            "Circuit breakers: 0 closed, 1 half-open, 2 open.",
            ["name"],
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._events = Counter(
            "circuit_breaker_events_total",
            "What circuit breakers did and saw.",
            ["name", "event"],
            registry=registry,
        )
        self._rejected = Counter(
            "ratelimit_rejected_total",
            "Requests refused, their sender having made too many.",
            ["kind"],
            registry=registry,
        )
        self._uncounted = Counter(
            "ratelimit_failures_total",
            "Requests that passed uncounted, Redis being away.",
            registry=registry,
        )

    def breaker_event(self, name: str, event: str) -> None:
        """A circuit breaker did or saw something."""
        self._events.labels(name, event).inc()

    def rejected(self, kind: str) -> None:
        """A request was refused, its sender having made too many."""
        self._rejected.labels(kind).inc()

    def uncounted(self) -> None:
        """A request passed that nobody could count."""
        self._uncounted.inc()
