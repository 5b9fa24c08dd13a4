"""A small HTTP server with health and instruments, for processes that serve nothing else.

Only four addresses, no bodies read: what Prometheus and probes ask of a worker. The API has the
same addresses among its routes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, socket

import orjson

from tidegauge.errors import ConfigError
from tidegauge.observability.health import Health, Status
from tidegauge.observability.meters import CONTENT_TYPE, Meters

# A client that is silent, or reads nothing, holds a thread for no longer.
CLIENT_TIMEOUT_S = 10.0
MOST_CLIENTS = 8
STOP_S = 5.0
_JSON = "application/json"

_Answer = tuple[int, str, bytes]


class Exposition:
    """Serves `/metrics`, `/health`, `/health/live` and `/health/ready` from `start` to `close`.

    Args:
        host: address to listen on.
        port: 0 takes any free one.
        meters: the instruments.
        health: the checks.
        version: ours, for the body of `/health`.
        refresh: brings gauges up to date before they are shown.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        meters: Meters,
        health: Health,
        version: str,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        self._host, self._port = host, port
        self._meters, self._health, self._version = meters, health, version
        self._refresh = refresh
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on, known once it is started."""
        return self._port

    def start(self) -> None:
        """Listen, and answer in threads of its own.

        Raises:
            ConfigError: the address is taken, or is not this machine's.
        """
        try:
            server = _Server((self._host, self._port), _make_handler(self._answer))
        except OSError as exc:
            raise ConfigError(
                f"cannot listen on {self._host}:{self._port} for health and metrics: {exc}"
            ) from exc
        self._server, self._port = server, server.server_address[1]
        self._thread = threading.Thread(
            target=server.serve_forever, name="tidegauge-exposition", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening; may be called twice, and without `start`."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _answer(self, path: str) -> _Answer:
        if path == "/metrics":
            self._refresh()
            return 200, CONTENT_TYPE, self._meters.render()
        if path == "/health/live":
            return 200, _JSON, orjson.dumps({"status": "alive"})
        if path == "/health/ready":
            ready = self._health.report().ready
            said = {"status": "ready" if ready else "not ready"}
            return 200 if ready else 503, _JSON, orjson.dumps(said)
        if path == "/health":
            report = self._health.report()
            status = 503 if report.status is Status.UNHEALTHY else 200
            return status, _JSON, orjson.dumps(report.body(self._version))
        return 404, _JSON, orjson.dumps({"error": "there is nothing here", "code": "not_found"})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # `server_close` would else wait for every client.
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self._places = threading.BoundedSemaphore(MOST_CLIENTS)
        super().__init__(address, handler)

    def process_request(
        self, request: socket | tuple[bytes, socket], client_address: object
    ) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket | tuple[bytes, socket], client_address: object
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that hung up or was too slow. What fails in an answer is logged by whoever
        # computes it, and the client sees the connection end.
        return


def _make_handler(answer: Callable[[str], _Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_TIMEOUT_S
        server_version = "tidegauge"
        sys_version = ""

        def do_GET(self) -> None:
            status, content_type, body = answer(self.path.partition("?")[0])
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            # Probes come every few seconds; the instruments count what matters.
            return

    return Handler
