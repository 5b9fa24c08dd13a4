"""Where spans go: lines of our log, or an OTLP endpoint. Imports the SDK; `tracing` does late."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes
from structlog.typing import FilteringBoundLogger

from tidegauge.config import TraceConfig

QUEUE_SPANS = 4096
BATCH_SPANS = 512
SEND_EVERY_MS = 1000
SEND_TIMEOUT_S = 5.0
FAILURE_LOGGED_EVERY_S = 60.0


class LinkedOrShare(Sampler):
    """Keeps a span without parent when what it links to is kept, and else a share of them.

    A batch that holds a traced request would otherwise be seen by chance only.

    Args:
        share: 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self._by_share = TraceIdRatioBased(share)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide on one span."""
        if any(link.context.trace_flags.sampled for link in links or ()):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return self._by_share.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Say what this does."""
        return f"LinkedOrShare({self._by_share.get_description()})"


class LogExporter(SpanExporter):
    """Writes one log line a span, at info.

    Args:
        log: where to.
    """

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write these spans."""
        for one in spans:
            self._log.info("span", **_describe(one))
        return SpanExportResult.SUCCESS


class SparingHandler(logging.Handler):
    """Passes on what the SDK says of failed exports: the first, then one a minute.

    Args:
        log: where to.
        monotonic: seconds.
    """

    def __init__(self, log: FilteringBoundLogger, *, monotonic: Callable[[], float]) -> None:
        super().__init__(logging.WARNING)
        self._log, self._monotonic = log, monotonic
        self._silent_until_s, self._unsaid = -math.inf, 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, or count it."""
        now_s = self._monotonic()
        if now_s < self._silent_until_s:
            self._unsaid += 1
            return
        self._silent_until_s = now_s + FAILURE_LOGGED_EVERY_S
        unsaid, self._unsaid = self._unsaid, 0
        self._log.warning("spans are not sent", error=record.getMessage(), unsaid=unsaid)


def make_provider(
    config: TraceConfig,
    *,
    service: str,
    version: str,
    log: FilteringBoundLogger,
    monotonic: Callable[[], float],
) -> TracerProvider:
    """Return a provider that samples and exports as the settings say.

    Args:
        config: the exporter is console or otlp.
        service: which of our processes this is.
        version: ours.
        log: gets spans (console) and failures.
        monotonic: seconds.
    """
    _adopt_sdk_logger(SparingHandler(log, monotonic=monotonic))
    provider = TracerProvider(
        sampler=ParentBased(LinkedOrShare(config.sample_percent / 100)),
        resource=Resource.create(
            {"service.name": f"tidegauge-{service}", "service.version": version}
        ),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(_make_processor(config, log))
    return provider


def shut_down(provider: TracerProvider, *, timeout_s: float) -> None:
    """Send what is left and end the provider, but go on after timeout_s whatever it does."""
    # Its own limit is half a minute, and an endpoint that hangs would take all of it.
    closing = threading.Thread(target=provider.shutdown, name="tidegauge-traces", daemon=True)
    closing.start()
    closing.join(timeout_s)


def _make_processor(config: TraceConfig, log: FilteringBoundLogger) -> SpanProcessor:
    if config.exporter == "console":
        return SimpleSpanProcessor(LogExporter(log))
    return BatchSpanProcessor(
        OTLPSpanExporter(endpoint=config.otlp_endpoint, timeout=SEND_TIMEOUT_S),
        max_queue_size=QUEUE_SPANS,
        max_export_batch_size=BATCH_SPANS,
        schedule_delay_millis=SEND_EVERY_MS,
    )


def _adopt_sdk_logger(handler: logging.Handler) -> None:
    sdk = logging.getLogger("opentelemetry")
    for other in [one for one in sdk.handlers if isinstance(one, SparingHandler)]:
        sdk.removeHandler(other)
    sdk.addHandler(handler)
    # Without this each failure would stand on stderr besides, and not as JSON.
    sdk.propagate = False


def _describe(one: ReadableSpan) -> dict[str, object]:
    context = one.get_span_context()
    took_ns = (one.end_time or 0) - (one.start_time or 0)
    return {
        "name": one.name,
        "trace_id": format(context.trace_id, "032x") if context else "",
        "span_id": format(context.span_id, "016x") if context else "",
        "parent_id": format(one.parent.span_id, "016x") if one.parent else "",
        "duration_ms": round(took_ns / 1e6, 3),
        "failed": not one.status.is_ok and one.status.status_code.name == "ERROR",
        "links": [format(link.context.trace_id, "032x") for link in one.links],
        "attributes": dict(one.attributes or {}),
    }
