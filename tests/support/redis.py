"""A Redis of a test's own: on a free port, empty, killed and started at will."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import redis

from tests.support.debian import find_program
from tests.support.servers import free_port, wait_until


class OwnRedis:
    """One redis-server that keeps nothing on disk.

    Args:
        folder: where its log lies.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = str(find_program("redis-server"))
        self._folder.mkdir(parents=True, exist_ok=True)
        listening = ["--port", str(self.port), "--bind", "127.0.0.1"]
        with (self._folder / "redis.log").open("ab") as out:
            self._process = subprocess.Popen(
                [program, *listening, "--save", "", "--appendonly", "no"],
                stdout=out,
                stderr=out,
                cwd=self._folder,
            )
        wait_until(self.answers, timeout_s=30, what=f"redis answers; see {self._folder}")

    def answers(self) -> bool:
        """Return whether it answers."""
        with redis.Redis.from_url(self.url, socket_timeout=5) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def client(self) -> redis.Redis:
        """Return a client that looks into it."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def send(self, order: signal.Signals) -> None:
        """Send it a signal, and wait for its end where the signal ends it."""
        assert self._process is not None
        self._process.send_signal(order)
        if order in (signal.SIGKILL, signal.SIGTERM):
            self._process.wait(30)

    @property
    def pid(self) -> int:
        """The process, while there is one; else 0."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else 0

    def kill(self) -> None:
        """Kill it."""
        self.send(signal.SIGKILL)

    def close(self) -> None:
        """Kill it if it runs."""
        if self.pid:
            self.kill()


@contextlib.contextmanager
def run_redis(folder: Path) -> Iterator[OwnRedis]:
    """Run a Redis of a test's own."""
    server = OwnRedis(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()
