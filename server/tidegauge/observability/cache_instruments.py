"""The instruments of the caches."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class CacheInstruments:
    """Counts what caches answer, share and fail at.

    Args:
        registry: where the instruments are listed.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._hits = Counter(
            "cache_hits_total",
            "Questions answered without work, from the cache or with another's answer.",
            ["cache"],
            registry=registry,
        )
        self._misses = Counter(
            "cache_misses_total",
            "Questions that a cache could have answered and that were worked on.",
            ["cache"],
            registry=registry,
        )
        self._shared = Counter(
            "cache_shared_total",
            "Questions answered with the answer to the same question asked at the same time.",
            ["cache"],
            registry=registry,
        )
        self._errors = Counter(
            "cache_errors_total",
            "Failed calls of a cache, and values that were not readable (decode).",
            ["operation"],
            registry=registry,
        )

    def hit(self, cache: str) -> None:
        """A question was answered without work."""
        self._hits.labels(cache).inc()

    def missed(self, cache: str) -> None:
        """A question had to be worked on."""
        self._misses.labels(cache).inc()

    def shared(self, cache: str) -> None:
        """One of the hits was another's answer of the same moment."""
        self._shared.labels(cache).inc()

    def failed(self, operation: str) -> None:
        """A call failed, or a value was not readable."""
        self._errors.labels(operation).inc()
