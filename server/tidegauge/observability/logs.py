"""JSON logs: one line an event, with timestamp, level, service, request id and message."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from tidegauge.observability.tracing import current_trace_id

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def make_logger(
    stream: BinaryIO, *, level: str, service: str, clock_ms: Callable[[], int]
) -> FilteringBoundLogger:
    """Return a logger that writes JSON lines.

    Args:
        stream: where to, in binary; flushed after each line.
        level: the lowest level written: debug, info, warning or error.
        service: which of our processes this is.
        clock_ms: Unix ms.
    The request id comes from `structlog.contextvars`, which the HTTP room fills; the trace id
    from the span that is going on, if there is one.
    """

    def add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        moment = datetime.fromtimestamp(clock_ms() / 1000, UTC)
        stamp = moment.isoformat(timespec="milliseconds")
        # The fields that every line has come first: people read these lines too.
        return {"timestamp": stamp, "level": event.pop("level"), **event}

    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(stream),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_trace,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            add_time,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        cache_logger_on_first_use=True,
        service=service,
    )
    return logger


def adopt_module_loggers(log: FilteringBoundLogger) -> None:
    """Send what modules log through `structlog.get_logger` to this logger, in this process."""

    def forward(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        getattr(log, method)(event.pop("event"), **event)
        raise structlog.DropEvent

    structlog.configure(
        processors=[forward],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        cache_logger_on_first_use=False,
    )


class StdlibHandler(logging.Handler):
    """Passes records of the standard `logging` (gunicorn's, a library's) on as JSON lines."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record at its own level."""
        self._log.log(
            record.levelno,
            record.getMessage(),
            logger=record.name,
            exc_info=record.exc_info or None,
        )


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace_id = current_trace_id()
    if trace_id:
        event.setdefault("trace_id", trace_id)
    return event


def _to_json(event: EventDict, **_options: object) -> bytes:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        # A string that is no UTF-8, or a number beyond 64 bits: better odd than lost.
        shown = {key: _to_printable(value) for key, value in event.items()}
        return orjson.dumps(shown)


def _to_printable(value: object) -> str:
    return (
        ascii(value)
        if not isinstance(value, str)
        else value.encode("ascii", "backslashreplace").decode()
    )
