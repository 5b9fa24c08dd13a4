"""Spans: what one request did, in which process, and how long it took.

`span` may be used anywhere. While no `Tracing` is open it does next to nothing, and neither the
SDK nor an exporter is imported. The tracer is a module's variable, as it is in OpenTelemetry
itself: a span begins deep inside rooms that nobody hands a tracer to.
Source: SPEC §9; the OpenTelemetry API 1.x; W3C Trace Context for `traceparent`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue
from structlog.typing import FilteringBoundLogger

from tidegauge.config import TraceConfig

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

# A batch has many senders; the traces of the first few are enough to find the way.
MOST_LINKS = 8
SHUTDOWN_S = 3.0

_W3C = TraceContextTextMapPropagator()
_KINDS = {
    "http.request": SpanKind.SERVER,
    "db.query": SpanKind.CLIENT,
    "cache.get": SpanKind.CLIENT,
    "cache.set": SpanKind.CLIENT,
    "queue.publish": SpanKind.PRODUCER,
    "queue.consume": SpanKind.CONSUMER,
}


class NoSpan:
    """The span of a process that traces nothing: takes everything and keeps nothing."""

    def set(self, name: str, value: AttributeValue) -> None:
        """Keep nothing."""

    def fail(self, message: str) -> None:
        """Keep nothing."""

    def __enter__(self) -> NoSpan:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


class LiveSpan(NoSpan):
    """A span that is going on."""

    def __init__(self, kept: trace.Span) -> None:
        self._kept = kept

    def set(self, name: str, value: AttributeValue) -> None:
        """Note an attribute."""
        self._kept.set_attribute(name, value)

    def fail(self, message: str) -> None:
        """Mark what the span stands for as failed."""
        self._kept.set_status(Status(StatusCode.ERROR, message))


_NO_SPAN = NoSpan()


@dataclass(slots=True)
class _Active:
    tracer: Tracer | None = None


_active = _Active()


def span(
    name: str, *, parent: str = "", links: Sequence[str] = (), **attributes: AttributeValue
) -> AbstractContextManager[NoSpan]:
    """Return a block's span, a child of the one that is going on in this thread.

    An error that leaves the block marks it as failed.

    Args:
        name: one of `http.request`, `db.query`, `cache.get`, `cache.set`, `queue.publish`,
            `queue.consume`, `ingest.write`.
        parent: the W3C traceparent of a caller in another process, or "".
        links: traceparents of what else led here; the first MOST_LINKS that are traced are kept.
        attributes: what else is known; `set` of the span adds more.
    """
    if _active.tracer is None:
        return _NO_SPAN
    return _live_span(_active.tracer, name, parent, links, attributes)


@contextmanager
def _live_span(
    tracer: Tracer,
    name: str,
    parent: str,
    links: Sequence[str],
    attributes: Mapping[str, AttributeValue],
) -> Iterator[NoSpan]:
    with tracer.start_as_current_span(
        name,
        context=_W3C.extract({"traceparent": parent}) if parent else None,
        kind=_KINDS.get(name, SpanKind.INTERNAL),
        links=_to_links(links),
        attributes=attributes,
        # The log has the traceback; a span with it would go over the wire for every 404.
        record_exception=False,
    ) as kept:
        yield LiveSpan(kept)


def _to_links(traceparents: Sequence[str]) -> list[Link]:
    links: list[Link] = []
    for one in dict.fromkeys(traceparents):
        context = trace.get_current_span(_W3C.extract({"traceparent": one})).get_span_context()
        # What its sender does not keep, a link would lead to in vain.
        if context.is_valid and context.trace_flags.sampled:
            links.append(Link(context))
            if len(links) == MOST_LINKS:
                break
    return links


def current_traceparent() -> str:
    """Return the W3C traceparent of the span that is going on, or ""."""
    if _active.tracer is None:
        return ""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent", "")


def current_trace_id() -> str:
    """Return the id of the trace that is going on, 32 hexadecimal digits, or ""."""
    if _active.tracer is None:
        return ""
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else ""


class Tracing:
    """Sends the spans of this process where the settings say, from `open` to `close`.

    Nothing waits for the exporter: with OTLP a thread sends what a bounded queue holds, what
    does not fit is dropped, and failures are logged once a minute.

    Args:
        config: exporter, address and share of requests; a caller's own decision goes before.
        service: which of our processes this is ("api", "worker").
        version: ours.
        log: gets the spans with the console exporter, and the exporter's failures.
        monotonic: seconds; spaces these failures.
    """

    def __init__(
        self,
        config: TraceConfig,
        *,
        service: str,
        version: str,
        log: FilteringBoundLogger,
        monotonic: Callable[[], float],
    ) -> None:
        self._config, self._service, self._version = config, service, version
        self._log, self._monotonic = log, monotonic
        self._provider: TracerProvider | None = None

    def open(self) -> None:
        """Begin to trace; with the exporter "none" there is nothing to begin.

        To be called after any fork: it may start a thread.
        """
        if self._config.exporter == "none" or self._provider is not None:
            return
        # Imported late: the SDK costs memory and time that nobody without traces should pay.
        from tidegauge.observability.trace_export import make_provider

        self._provider = make_provider(
            self._config,
            service=self._service,
            version=self._version,
            log=self._log,
            monotonic=self._monotonic,
        )
        _active.tracer = self._provider.get_tracer("tidegauge", self._version)

    def close(self) -> None:
        """Send what is left, within SHUTDOWN_S, and trace no more; may be called twice."""
        provider, self._provider = self._provider, None
        if provider is None:
            return
        _active.tracer = None
        from tidegauge.observability.trace_export import shut_down

        shut_down(provider, timeout_s=SHUTDOWN_S)
