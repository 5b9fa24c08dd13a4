"""Spans: free of cost without an exporter, one line each on the console, protobuf over OTLP."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from tidegauge.config import TraceConfig
from tidegauge.observability.tracing import (
    MOST_LINKS,
    current_trace_id,
    current_traceparent,
    span,
)

from tests.support.servers import free_port, wait_until
from tests.support.spans import Traced

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01", f"00-{TRACE}-00f067aa0ba902b7-00"


@pytest.fixture
def trace() -> Iterator[Callable[..., Traced]]:
    opened: list[Traced] = []

    def open_with(**settings: object) -> Traced:
        opened.append(Traced(TraceConfig(**settings)))
        return opened[-1]

    yield open_with
    for one in opened:
        one.tracing.close()


@contextmanager
def otlp_receiver(*, status: int = 200) -> Iterator[tuple[str, list]]:
    """Listen as an OTLP collector does; yield its address and the spans that arrive."""
    received: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = ExportTraceServiceRequest.FromString(body)
            received.extend(
                (resources.resource, one)
                for resources in request.resource_spans
                for scope in resources.scope_spans
                for one in scope.spans
            )
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_without_an_exporter_nothing_is_traced_and_the_sdk_is_not_imported() -> None:
    program = (
        "import sys, time, structlog\n"
        "from tidegauge.config import TraceConfig\n"
        "from tidegauge.observability.tracing import Tracing, span, current_traceparent\n"
        "t = Tracing(TraceConfig(), service='api', version='1', log=structlog.get_logger(),"
        " monotonic=time.monotonic)\n"
        "t.open()\n"
        "with span('db.query') as one:\n"
        "    one.set('rows', 1)\n"
        "    assert current_traceparent() == ''\n"
        "t.close()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "[]"


def test_the_console_gets_one_line_a_span_with_its_parent(trace) -> None:
    traced = trace(exporter="console")

    with span("http.request", method="GET") as outer:
        outer.set("status", 200)
        with span("db.query"):
            pass

    inner_line, outer_line = traced.lines()
    assert (inner_line["name"], outer_line["name"]) == ("db.query", "http.request")
    assert inner_line["trace_id"] == outer_line["trace_id"]
    assert inner_line["parent_id"] == outer_line["span_id"]
    assert outer_line["attributes"] == {"method": "GET", "status": 200}
    assert outer_line["duration_ms"] >= 0


def test_a_block_that_fails_marks_its_span_and_its_error_goes_on(trace) -> None:
    traced = trace(exporter="console")

    with pytest.raises(ZeroDivisionError), span("db.query"):
        raise ZeroDivisionError

    assert [line["failed"] for line in traced.lines()] == [True]


def test_a_callers_trace_is_gone_on_with(trace) -> None:
    traced = trace(exporter="console")

    with span("http.request", parent=SAMPLED):
        assert current_trace_id() == TRACE
        assert current_traceparent().startswith(f"00-{TRACE}-")

    (line,) = traced.lines()
    assert (line["trace_id"], line["parent_id"]) == (TRACE, "00f067aa0ba902b7")


def test_a_callers_decision_goes_before_the_share_of_the_settings(trace) -> None:
    traced = trace(exporter="console", sample_percent=0)

    for parent in (NOT_SAMPLED, "", SAMPLED, "nonsense"):
        with span("http.request", parent=parent):
            pass

    assert [line["trace_id"] for line in traced.lines()] == [TRACE]


def test_a_span_links_the_traces_that_led_to_it_up_to_a_bound(trace) -> None:
    traced = trace(exporter="console")
    senders = [f"00-{number:032x}-00f067aa0ba902b7-01" for number in range(1, 20)]

    with span("ingest.write", links=["", "nonsense", *senders]):
        pass

    (line,) = traced.lines()
    assert line["links"] == [f"{number:032x}" for number in range(1, MOST_LINKS + 1)]


def test_a_batch_that_holds_a_traced_request_is_traced_whatever_the_share(trace) -> None:
    traced = trace(exporter="console", sample_percent=0)

    for links in ([NOT_SAMPLED], [NOT_SAMPLED, SAMPLED]):
        with span("queue.consume", links=links), span("ingest.write", links=links):
            pass

    assert [(line["name"], line["links"]) for line in traced.lines()] == [
        ("ingest.write", [TRACE]),
        ("queue.consume", [TRACE]),
    ]


def test_log_lines_name_the_trace(trace) -> None:
    traced = trace(exporter="console")

    traced.log.info("before")
    with span("http.request", parent=SAMPLED):
        traced.log.info("within")

    assert "trace_id" not in traced.lines("before")[0]
    assert traced.lines("within")[0]["trace_id"] == TRACE


def test_spans_arrive_at_an_otlp_endpoint_at_the_latest_with_close(trace) -> None:
    with otlp_receiver() as (address, received):
        traced = trace(exporter="otlp", otlp_endpoint=address)
        with span("queue.publish", samples=5):
            pass
        traced.tracing.close()

        ((resource, one),) = received
    attributes = {pair.key: pair.value for pair in one.attributes}
    named = {pair.key: pair.value.string_value for pair in resource.attributes}
    assert (one.name, attributes["samples"].int_value) == ("queue.publish", 5)
    assert (named["service.name"], named["service.version"]) == ("tidegauge-api", "1.2.3")
    assert traced.lines("spans are not sent") == []


def test_an_endpoint_that_refuses_is_told_of_once_and_holds_up_nobody(trace) -> None:
    with otlp_receiver(status=400) as (address, received):
        traced = trace(exporter="otlp", otlp_endpoint=address)
        for count in (1, 2):
            with span("db.query"):
                pass
            wait_until(
                lambda count=count: len(received) == count, timeout_s=20, what="the span was sent"
            )
        traced.tracing.close()

    assert len(traced.lines("spans are not sent")) == 1


def test_an_endpoint_that_is_away_does_not_keep_a_process_from_ending(trace) -> None:
    traced = trace(exporter="otlp", otlp_endpoint=f"http://127.0.0.1:{free_port()}/v1/traces")
    with span("db.query"):
        pass

    traced.tracing.close()

    with span("db.query"):
        assert current_traceparent() == ""
