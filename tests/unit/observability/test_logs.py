"""Log lines are JSON and carry what is needed to find them again."""

from __future__ import annotations

import io
import logging

import orjson
import pytest
import structlog
from tidegauge.observability.logs import StdlibHandler, adopt_module_loggers, make_logger

CLOCK_MS = 1_700_000_000_123


@pytest.fixture(autouse=True)
def _nothing_bound() -> None:
    """What a request of another test has bound to this thread is none of ours."""
    structlog.contextvars.clear_contextvars()


def read_lines(stream: io.BytesIO) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_service_request_id_message_and_fields() -> None:
    stream = io.BytesIO()
    log = make_logger(stream, level="info", service="api", clock_ms=lambda: CLOCK_MS)

    with structlog.contextvars.bound_contextvars(request_id="r1"):
        log.info("request", status=200, odd={1: b"\xff"})

    assert read_lines(stream) == [
        {
            "timestamp": "2023-11-14T22:13:20.123+00:00",
            "level": "info",
            "service": "api",
            "request_id": "r1",
            "message": "request",
            "status": 200,
            "odd": {"1": "b'\\xff'"},
        }
    ]


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.BytesIO()
    log = make_logger(stream, level="warning", service="api", clock_ms=lambda: CLOCK_MS)

    log.info("request")
    log.warning("slow query")

    assert [line["message"] for line in read_lines(stream)] == ["slow query"]


def test_records_of_standard_logging_become_json_with_their_traceback() -> None:
    stream = io.BytesIO()
    handler = StdlibHandler(
        make_logger(stream, level="info", service="api", clock_ms=lambda: CLOCK_MS)
    )
    record_log = logging.Logger("gunicorn.error")
    record_log.addHandler(handler)

    try:
        raise ValueError("odd")
    except ValueError:
        record_log.exception("worker %d failed", 7)

    (line,) = read_lines(stream)
    assert line["message"] == "worker 7 failed"
    assert line["level"] == "error"
    assert line["logger"] == "gunicorn.error"
    assert "ValueError: odd" in str(line["exception"])


def test_what_modules_log_goes_to_the_adopted_logger() -> None:
    stream = io.BytesIO()
    module_log = structlog.get_logger("tidegauge.somewhere")
    adopt_module_loggers(
        make_logger(stream, level="info", service="api", clock_ms=lambda: CLOCK_MS)
    )
    try:
        module_log.error("message dead-lettered", samples=3)
        module_log.debug("not wanted")
    finally:
        structlog.reset_defaults()

    (line,) = read_lines(stream)
    assert (line["message"], line["level"], line["samples"]) == (
        "message dead-lettered",
        "error",
        3,
    )
    assert line["service"] == "api"


def test_what_json_cannot_hold_is_written_all_the_same() -> None:
    stream = io.BytesIO()
    log = make_logger(stream, level="info", service="api", clock_ms=lambda: CLOCK_MS)

    log.info("request", error="bad \udcff", selectors=["a\udcff"], size=1 << 70)

    (line,) = read_lines(stream)
    assert line["message"] == "request"
    assert line["error"] == "bad \\udcff"
    assert line["selectors"] == "['a\\udcff']"
    assert line["size"] == str(1 << 70)
