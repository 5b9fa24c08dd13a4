"""The socket that the API listens on, opened before anything else is started."""

from __future__ import annotations

import errno
import socket
import struct
import time
from typing import Any

from tidegauge.errors import ConfigError

_BACKLOG = 1024
_POLL_S = 0.05
# The kernel ends the processes of a killed predecessor, but not in the same moment.
_PATIENCE_S = 1.0
# For the next bytes of a request, and for room for those of an answer: without an end to it, a
# few clients that stall would keep every thread. Kernels hand it down to accepted connections.
_STALLED_S = 30
_STALLED = struct.pack("ll", _STALLED_S, 0)


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0 takes any free port.

    A port in use is tried for a second, for a killed predecessor may be letting go of it.

    Raises:
        ConfigError: the port is taken, or the address is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as exc:
        raise ConfigError(f"--host {host}: {exc.strerror} (TIDEGAUGE_HOST)") from exc
    give_up_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return _listen(found[0])
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or time.monotonic() > give_up_s:
                raise ConfigError(_explain(exc, host, port)) from exc
        time.sleep(_POLL_S)


def _listen(place: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, address = place
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _STALLED)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _STALLED)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
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
