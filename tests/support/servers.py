"""Starts real servers on free loopback ports and ends them again."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.support.debian import find_program


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, and its process."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], bool], *, timeout_s: float, what: str, every_s: float = 0.05
) -> None:
    """Return as soon as the condition holds; fail with `what` after timeout_s."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited {timeout_s} s in vain: {what}"
        time.sleep(every_s)


def answers(url: str) -> bool:
    """Return whether this address answers 200."""
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


@contextlib.contextmanager
def _serve(command: Sequence[str], port: int, ready: str, log: Path) -> Iterator[Server]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=log.parent)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(
            lambda: process.poll() is not None or answers(url + ready),
            timeout_s=60,
            what=f"{command[0]} answers on {url}{ready}; see {log}",
        )
        assert process.poll() is None, f"{command[0]} ended:\n{log.read_text()[-3000:]}"
        yield Server(url, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


@contextlib.contextmanager
def run_prometheus(
    folder: Path, config: Callable[[str], str] = lambda own: "scrape_configs: []\n"
) -> Iterator[Server]:
    """Run a Prometheus that also takes remote write; config makes its file from its address."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(config(f"127.0.0.1:{port}"))
    command = [
        str(find_program("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--storage.tsdb.retention.time=400d",
        "--log.level=warn",
    ]
    with _serve(command, port, "/-/ready", folder / "prometheus.log") as server:
        yield server


@contextlib.contextmanager
def run_node_exporter(folder: Path) -> Iterator[Server]:
    """Run a node exporter."""
    port = free_port()
    command = [
        str(find_program("prometheus-node-exporter")),
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with _serve(command, port, "/metrics", folder / "node.log") as server:
        yield server


@contextlib.contextmanager
def run_victoria_metrics(folder: Path) -> Iterator[Server]:
    """Run a single-node VictoriaMetrics."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(find_program("victoria-metrics")),
        f"-storageDataPath={folder / 'data'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=13",
        "-loggerLevel=ERROR",
    ]
    with _serve(command, port, "/health", folder / "victoria.log") as server:
        yield server
