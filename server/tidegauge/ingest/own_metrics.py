"""The product's own instruments, stored in itself: every process sends its own part.

No process speaks for another, so that `sum()` over all of them is right, and one that dies takes
nothing but its own series with it. These end with stale markers when it stops in order.
Source: SPEC §9.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from prometheus_client import Metric
from structlog.typing import FilteringBoundLogger

from tidegauge.errors import TidegaugeError
from tidegauge.model.batch import MetricMetadata
from tidegauge.model.labels import METRIC_NAME, Labels, make_labels
from tidegauge.model.stale import STALE_NAN

JOB = "tidegauge"
SEND_TIMEOUT_S = 5.0
# The end of a process waits for the stale markers, and for nothing longer than this.
END_TIMEOUT_S = 2.0
FAILURE_LOGGED_EVERY_S = 60.0


class Sender(Protocol):
    """`IngestService.ingest_own`."""

    def __call__(
        self,
        samples: Sequence[tuple[Labels, float]],
        metadata: Sequence[MetricMetadata],
        *,
        now_ms: int,
        timeout_s: float,
    ) -> None:
        """Return once the samples are durable."""
        ...


class OwnMetrics:
    """Sends the instruments of this process, from time to time; one thread runs it.

    A failure is counted, logged once a minute, and never anybody else's: the next round sends
    what the counters say by then.

    Args:
        collect: returns the instruments of this process alone, brought up to date.
        send: stores samples.
        instance: this machine.
        process: this process among those of the machine, the same after a restart.
        every_s: seconds between two rounds.
        clock_ms: Unix ms.
        monotonic: seconds; spaces log lines.
        log: is told of failures.
        on_failure: counts them.
    """

    def __init__(
        self,
        *,
        collect: Callable[[], Iterable[Metric]],
        send: Sender,
        instance: str,
        process: str,
        every_s: float,
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._collect, self._send, self._every_s = collect, send, every_s
        self._identity = {"job": JOB, "instance": instance, "process": process}
        self._clock_ms, self._monotonic = clock_ms, monotonic
        self._log, self._on_failure = log, on_failure
        self._sent: Sequence[Labels] = ()
        self._silent_until_s = -math.inf

    def run(self, stop: threading.Event) -> None:
        """Send every so often until told to stop, then end the series."""
        while not stop.wait(self._every_s):
            self.send_once()
        self.end()

    def send_once(self) -> bool:
        """Send all instruments as they are now; return whether that worked."""
        families = list(self._collect())
        samples = [
            (self._label(sample.name, sample.labels), float(sample.value))
            for family in families
            for sample in family.samples
            # When a counter began is of use to OpenMetrics scrapers only, and doubles the series.
            if not sample.name.endswith("_created")
        ]
        if not self._try(samples, [_describe(family) for family in families], SEND_TIMEOUT_S):
            return False
        self._sent = [labels for labels, _ in samples]
        return True

    def end(self) -> None:
        """Say that the series of this process have ended."""
        ended, self._sent = self._sent, ()
        if ended:
            self._try([(labels, float(STALE_NAN[0])) for labels in ended], [], END_TIMEOUT_S)

    def _label(self, name: str, labels: dict[str, str]) -> Labels:
        return make_labels({**labels, **self._identity, METRIC_NAME: name})

    def _try(
        self,
        samples: Sequence[tuple[Labels, float]],
        metadata: Sequence[MetricMetadata],
        timeout_s: float,
    ) -> bool:
        try:
            self._send(samples, metadata, now_ms=self._clock_ms(), timeout_s=timeout_s)
        except TidegaugeError as exc:
            self._on_failure()
            now_s = self._monotonic()
            if now_s >= self._silent_until_s:
                self._silent_until_s = now_s + FAILURE_LOGGED_EVERY_S
                self._log.warning("own metrics are not stored", error=exc.message)
            return False
        return True


def _describe(family: Metric) -> MetricMetadata:
    # Prometheus knows a counter by the name of its samples.
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return MetricMetadata(name, family.type, family.unit, family.documentation)
