"""A private Redis on a free loopback port, without anything on disk."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.debian import find_program
from tests.support.servers import free_port, wait_until


class Redis:
    """One Redis server; the same port at every start, empty each time.

    Args:
        folder: where its output goes.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            str(find_program("redis-server")),
            *("--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
        ]
        with (self._folder / "redis.log").open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out)
        wait_until(
            lambda: self.ask("PING").startswith(b"+PONG"), timeout_s=30, what="Redis answers"
        )

    def ask(self, command: str) -> bytes:
        """Send one inline command and return the first of its answer; empty if it is away."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(command.encode() + b"\r\n")
                return connection.recv(4096)
        except OSError:
            return b""

    def stop(self) -> None:
        """Stop it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it if it runs."""
        if self._process is not None:
            self.kill()

    def _end(self, order: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(order)
        self._process.wait(30)
        self._process = None


@contextlib.contextmanager
def run_redis(folder: Path) -> Iterator[Redis]:
    """Run a private Redis."""
    server = Redis(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()
