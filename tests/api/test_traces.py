"""One trace leads from a request through the queue to the write."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from tidegauge.config import TraceConfig

from tests.support.servers import wait_until
from tests.support.spans import Traced

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-ID": "r-7"}


@pytest.fixture
def traced() -> Iterator[Traced]:
    opened = Traced(TraceConfig(exporter="console"))
    yield opened
    opened.tracing.close()


def find(traced: Traced, name: str) -> dict:
    """Return the line of the one span of this name, once it is there."""

    def found() -> list[dict]:
        return [line for line in traced.lines() if line["name"] == name]

    wait_until(lambda: len(found()) == 1, timeout_s=20, what=f"a span {name}")
    return found()[0]


def test_a_request_is_a_span_with_its_route_and_outcome(client, traced) -> None:
    client.get("/api/v1/metrics/nothing/tags", headers=HEADERS)

    line = find(traced, "http.request")
    assert line["trace_id"] == TRACE
    assert line["parent_id"] == "00f067aa0ba902b7"
    assert line["attributes"] == {
        "method": "GET",
        "route": "/api/v1/metrics/<name>/tags",
        "request_id": "r-7",
        "status": 404,
    }
    assert not line["failed"]


def test_the_access_log_names_the_trace(client, traced, log_lines) -> None:
    client.get("/prometheus/api/v1/query?query=1", headers=HEADERS)

    (line,) = [line for line in log_lines() if line["message"] == "request"]
    assert (line["trace_id"], line["request_id"]) == (TRACE, "r-7")


def test_a_trace_goes_through_the_queue_to_the_write(client, traced) -> None:
    point = {"name": "up", "value": 1, "timestamp": 1_700_000_000_000}

    client.post("/api/v1/metrics", data=orjson.dumps([point]), headers=HEADERS)

    request, publish = find(traced, "http.request"), find(traced, "queue.publish")
    assert publish["trace_id"] == TRACE
    assert publish["parent_id"] == request["span_id"]
    assert publish["attributes"] == {"samples": 1, "request_id": "r-7"}
    assert find(traced, "ingest.write")["links"] == [TRACE]


def test_a_refused_request_is_a_span_too(client, traced) -> None:
    client.get("/nowhere", headers=HEADERS)

    assert find(traced, "http.request")["attributes"]["status"] == 404


def test_what_is_traced_leaves_nothing_behind_for_the_next_request(client, traced) -> None:
    client.get("/health/live", headers=HEADERS)
    client.get("/health/live")

    first, second = traced.lines()
    assert first["trace_id"] == TRACE
    assert second["trace_id"] != TRACE
    assert second["parent_id"] == ""
