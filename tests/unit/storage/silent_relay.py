"""A relay before PostgreSQL that lets clients log in and then passes nothing on."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType

from psycopg2.extensions import make_dsn, parse_dsn

_READY = b"Z\x00\x00\x00\x05I"


class SilentAfterLogin:
    """Passes bytes both ways until the server says that it is ready for the first statement.

    Args:
        url: the server's address.
    """

    def __init__(self, url: str) -> None:
        self._target = parse_dsn(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._relay, daemon=True)
        place = {"host": "127.0.0.1", "port": self._listener.getsockname()[1]}
        self.url = make_dsn(**(self._target | place | {"sslmode": "disable"}))

    def __enter__(self) -> SilentAfterLogin:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)
        for one in self._sockets:
            one.close()

    def _relay(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            server = self._connect()
            self._sockets += [client, server]
            self._pass_login(client, server)

    def _connect(self) -> socket.socket:
        host, port = self._target.get("host", "127.0.0.1"), int(self._target.get("port", 5432))
        if not host.startswith("/"):
            return socket.create_connection((host, port), 5)
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    @staticmethod
    def _pass_login(client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    key.data.sendall(data)
                    if not data or data.endswith(_READY):
                        return
