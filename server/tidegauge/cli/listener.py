"""The socket that the API listens on, opened before anything else is started."""

from __future__ import annotations

import errno
import socket

from tidegauge.errors import ConfigError

_BACKLOG = 1024


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0 takes any free port.

    Raises:
        ConfigError: the port is taken, or the address is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as exc:
        raise ConfigError(f"--host {host}: {exc.strerror} (TIDEGAUGE_HOST)") from exc
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        raise ConfigError(_explain(exc, host, port)) from exc
    return listener


def shown_address(listener: socket.socket) -> str:
    """Return the `http://…` under which this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (compared only)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _explain(exc: OSError, host: str, port: int) -> str:
    if exc.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use by another program: "
            "choose another with --port (TIDEGAUGE_PORT)"
        )
    if exc.errno == errno.EACCES:
        return f"port {port} of {host} is not allowed for this user: choose one above 1023 (--port)"
    return f"cannot listen on {host} port {port}: {exc.strerror} (--host, --port)"
