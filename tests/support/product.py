"""The real product, `tidegauge up`, in a folder: started, killed, stopped, looked into."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import requests

from tests.support.servers import free_port, wait_until

_ARRIVALS = "SELECT payload FROM arrivals WHERE metric_id = %s ORDER BY id"
_METRIC = "SELECT id FROM metric_definitions WHERE name = %s"
_RECORD = np.dtype([("series", "<i4"), ("time_ms", "<i8"), ("value", "<f8")])
_SETTINGS = ("TIDEGAUGE_", "DATABASE_", "RABBITMQ_URL", "REDIS_URL", "PROMETHEUS_MULTIPROC_DIR")


def clean_environment(**settings: str) -> dict[str, str]:
    """Return this environment without our settings, but those given.

    Tests count what they have sent, so the product's own metrics are off unless asked for.
    """
    settings = {"TIDEGAUGE_OWN_METRICS_SECONDS": "0", **settings}
    env = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    return {**env, **settings}


def parent_of(pid: int) -> int:
    """Return the parent of a process; 0 if it is gone, or only waits to be collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] == "Z" else int(fields[1])


def children_of(pid: int) -> list[int]:
    """Return the living children of a process."""
    every = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [child for child in every if parent_of(child) == pid]


def read_stored(database_url: str, metric: str) -> np.ndarray:
    """Return every stored record (series, time_ms, value) of a metric, repeated ones too."""
    with (
        closing(psycopg2.connect(database_url, connect_timeout=5)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(_METRIC, (metric,))
        (metric_id,) = cursor.fetchone() or (-1,)
        cursor.execute(_ARRIVALS, (metric_id,))
        payload = b"".join(bytes(row[0]) for row in cursor)
    return np.frombuffer(payload, _RECORD)


class Up:
    """One `tidegauge up`.

    Args:
        folder: where its data and output lie.
        options: more of its options.
        settings: environment variables.
    """

    def __init__(
        self, folder: Path, *options: str, settings: Mapping[str, str] | None = None
    ) -> None:
        self.folder, self.data = folder, folder / "data"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self._options, self._settings = options, dict(settings or {})
        self._runs = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def output(self) -> str:
        """What the current run has printed."""
        return self._output.read_text(encoding="utf-8")

    @property
    def _output(self) -> Path:
        return self.folder / f"up.{self._runs}.log"

    def launch(self) -> None:
        """Start the process, and do not wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._runs += 1
        command = [sys.executable, "-m", "tidegauge", "up", "--data-dir", str(self.data)]
        with self._output.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port), *self._options],
                env=clean_environment(**self._settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )

    def start(self) -> None:
        """Start the process and wait until it says that it is up."""
        self.launch()
        assert self.process is not None
        process = self.process
        wait_until(
            lambda: process.poll() is not None or "Ctrl-C stops it" in self.output,
            timeout_s=60,
            what=f"tidegauge up says that it is up:\n{self.output}",
        )
        assert process.poll() is None, self.output + self.api_log()

    def stop(self, order: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit code."""
        assert self.process is not None
        self.process.send_signal(order)
        return self.process.wait(60)

    def end(self) -> None:
        """Stop it if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def api_log(self) -> str:
        """Return the API's log."""
        path = self.data / "log/api.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def part(self, name: str) -> int:
        """Return the pid of a part: `postgres`, `evaluator`, `api` (its arbiter), or one `worker`.

        0 means that there is none at the moment.
        """
        if name == "worker":
            return next(iter(children_of(self.part("api") or -1)), 0)
        found = [child for child in children_of(self.pid) if _is_part(child, name)]
        return next(iter(found), 0)

    def family(self) -> list[int]:
        """Return the pids of all its processes, the parents first."""
        pids = [self.pid]
        for pid in pids:
            pids += children_of(pid)
        return pids

    def answers(self, path: str = "/health/ready") -> bool:
        """Return whether the API answers 200 here."""
        try:
            return requests.get(self.base + path, timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def wait_ready(self) -> None:
        """Wait until the API is ready."""
        wait_until(self.answers, timeout_s=60, what=f"ready again:\n{self.output}")

    def send_json(self, name: str, value: float, **point: Any) -> requests.Response:
        """Send one point over the JSON API."""
        return requests.post(
            f"{self.base}/api/v1/metrics",
            json=[{"name": name, "value": value, **point}],
            timeout=30,
        )

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        answer = requests.post(
            f"{self.base}/prometheus/api/v1/query", data={"query": query}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def database_url(self) -> str:
        """Return the address of its PostgreSQL, as it printed it."""
        found = re.search(r"psql '([^']+)'", self.output)
        assert found is not None, self.output
        return found[1]

    def read_stored(self, metric: str) -> np.ndarray:
        """Return every stored record (series, time_ms, value) of a metric, repeated ones too."""
        return read_stored(self.database_url(), metric)


def _is_part(pid: int, name: str) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    if name == "postgres":
        return arguments[0].endswith(b"/postgres")
    return (b"serve" if name == "api" else name.encode()) in arguments
