"""The products under measurement, each started fresh in a folder of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.product import clean_environment
from tests.support.servers import (
    answers,
    free_port,
    run_prometheus,
    run_victoria_metrics,
    wait_until,
)


@dataclass(frozen=True)
class Product:
    """A running product: its address, its root process, and where its API and data lie."""

    name: str
    address: str
    pid: int
    write_path: str
    api_path: str
    data: Path


@contextlib.contextmanager
def tidegauge(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Product]:
    """Run `tidegauge up` in a folder, with these environment variables besides."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "tidegauge"),
        "up",
        "--data-dir",
        str(folder / "data"),
        "--port",
        str(port),
    ]
    with (folder / "tidegauge.log").open("ab") as out:
        # Without own metrics: a benchmark counts and weighs what it has sent.
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=folder, env=clean_environment(**(settings or {}))
        )
    try:
        wait_until(
            lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}/health/ready"),
            timeout_s=120,
            what=f"tidegauge up is ready; see {folder / 'tidegauge.log'}",
        )
        assert process.poll() is None, (folder / "tidegauge.log").read_text()[-3000:]
        yield Product(
            "tidegauge",
            f"127.0.0.1:{port}",
            process.pid,
            "/prometheus/api/v1/write",
            "/prometheus",
            folder / "data",
        )
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextlib.contextmanager
def prometheus(folder: Path) -> Iterator[Product]:
    """Run Debian's Prometheus as a remote write receiver."""
    with run_prometheus(folder) as server:
        yield Product(
            "prometheus", server.address, server.process.pid, "/api/v1/write", "", folder / "data"
        )


@contextlib.contextmanager
def victoria_metrics(folder: Path) -> Iterator[Product]:
    """Run Debian's VictoriaMetrics."""
    with run_victoria_metrics(folder) as server:
        yield Product(
            "victoria-metrics",
            server.address,
            server.process.pid,
            "/api/v1/write",
            "",
            folder / "data",
        )


PRODUCTS = {"tidegauge": tidegauge, "prometheus": prometheus, "victoria-metrics": victoria_metrics}
