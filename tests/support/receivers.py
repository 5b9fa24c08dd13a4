"""Servers that webhooks are posted to: one that keeps what it gets, and one that misbehaves."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Posted:
    """One request, and the port that it came from."""

    path: str
    headers: dict[str, str]
    body: bytes
    port: int


@dataclass
class Receiver:
    """What a server got, and what it answers.

    Attributes:
        url: of the server, without a path.
        posted: the requests.
        answers: by path; 200 where there is none.
        on_post: is called with each request before its answer.
    """

    url: str
    posted: list[Posted] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    on_post: Callable[[Posted], None] = lambda _posted: None

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        headers = {name.lower(): text for name, text in handler.headers.items()}
        body = handler.rfile.read(length)
        posted = Posted(handler.path, headers, body, handler.client_address[1])
        self.posted.append(posted)
        self.on_post(posted)
        status, more, body = self.answers.get(posted.path, (200, {}, b"thanks"))
        handler.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **more}.items():
            handler.send_header(name, text)
        handler.end_headers()
        # Whoever has read enough hangs up.
        with contextlib.suppress(OSError):
            handler.wfile.write(body)


@contextlib.contextmanager
def run_receiver(
    *, tls: ssl.SSLContext | None = None, family: socket.AddressFamily = socket.AF_INET
) -> Iterator[Receiver]:
    """Run a server on a free port of the loopback.

    Args:
        tls: its certificate.
        family: AF_INET, or AF_INET6 for ::1.
    """
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        address_family = family

        def handle_error(self, _request: object, _address: object) -> None:
            """Say nothing: some clients hang up, and are meant to."""

    host = "::1" if family is socket.AF_INET6 else "127.0.0.1"
    with Server((host, 0), Handler) as server:
        shown = f"[{host}]" if ":" in host else host
        receiver.url = f"http{'s' * (tls is not None)}://{shown}:{server.server_port}"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def run_talker(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Run a server that does as it likes with each connection; lend its URL.

    Args:
        talk: gets the connection, and an event that is set at the end.
    """
    stop = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            talk(connection, stop)

    def accept(listener: socket.socket) -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection = listener.accept()[0]
                connection.settimeout(None)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            thread.join()
