"""Spans of a test's own process, read from its log."""

from __future__ import annotations

import io
import time

import orjson
from tidegauge.config import TraceConfig
from tidegauge.observability.logs import make_logger
from tidegauge.observability.tracing import Tracing


class Traced:
    """An open Tracing, and the log lines of its process."""

    def __init__(self, config: TraceConfig) -> None:
        self._stream = io.BytesIO()
        self.log = make_logger(self._stream, level="info", service="api", clock_ms=lambda: 0)
        self.tracing = Tracing(
            config, service="api", version="1.2.3", log=self.log, monotonic=time.monotonic
        )
        self.tracing.open()

    def lines(self, message: str = "span") -> list[dict]:
        found = [orjson.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in found if line["message"] == message]
