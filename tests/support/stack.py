"""The real set: nginx before two servers, RabbitMQ, Redis, two workers, PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import requests
from tidegauge.storage.embedded import EmbeddedPostgres
from tidegauge.storage.migrate import apply_migrations

from tests.support.debian import find_program
from tests.support.product import children_of, clean_environment, read_stored
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import OwnRedis
from tests.support.servers import answers, free_port, wait_until

TOKEN = "a-token-for-tests-only"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}
SERVERS = ("server-1", "server-2")
WORKERS = ("worker-1", "worker-2")
_UNLIMITED = "100000000"
_NGINX = """\
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_max_body_size 64m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream api {{
{servers}
    keepalive 16;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_connect_timeout 2s;
      proxy_read_timeout 60s;
    }}
  }}
}}
"""


class Part:
    """One process of the set.

    Args:
        name: its name; its output goes to `<name>.log`.
        command: what to run.
        env: its whole environment.
        folder: its working folder.
        ready_url: what answers 200 once it works; empty: it counts as ready when started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
        ready_url: str,
    ) -> None:
        self.name, self._command, self._env = name, list(command), dict(env)
        self.log, self._folder, self.ready_url = folder / f"{name}.log", folder, ready_url
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} is not running"
        return self.process.pid

    def start(self) -> None:
        """Start it and wait until it works."""
        with self.log.open("ab") as out:
            self.process = process = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self._folder,
            )
        if self.ready_url:
            wait_until(
                lambda: process.poll() is not None or answers(self.ready_url),
                timeout_s=60,
                what=f"{self.name} answers; see {self.log}",
            )
        assert process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-3000:]}"

    def stop(self) -> int:
        """Stop it in order and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process = None
        return code

    def kill(self) -> None:
        """Kill it and all its children."""
        assert self.process is not None
        family = [self.pid]
        for pid in family:
            family += children_of(pid)
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        self.process = None


class Stack:
    """The set in a folder.

    Args:
        folder: where everything of it lies.
        queue: with RabbitMQ and workers; otherwise servers write themselves.
        cache: with Redis.
        settings: more environment variables of servers and workers.
    """

    def __init__(
        self,
        folder: Path,
        *,
        queue: bool = True,
        cache: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.folder, self._settings = folder, dict(settings or {})
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.rabbitmq, self.redis = _neighbours(folder, queue=queue, cache=cache)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.headers = AUTHORIZATION
        self.parts: dict[str, Part] = {}

    @property
    def workers(self) -> list[str]:
        """The names of the workers; none without a queue."""
        return [name for name in WORKERS if name in self.parts]

    def start(self) -> None:
        """Start everything, in order, and wait until it is ready through nginx."""
        self.postgres.start()
        apply_migrations(self.postgres.url)
        for neighbour in (self.rabbitmq, self.redis):
            if neighbour is not None:
                neighbour.start()
        self._make_parts()
        for part in self.parts.values():
            part.start()
        self.wait_ready()
        self.check_alive()

    def close(self) -> None:
        """End everything that runs, in order."""
        for part in reversed(self.parts.values()):
            if part.process is not None and part.process.poll() is None:
                part.stop()
        for neighbour in (self.redis, self.rabbitmq):
            if neighbour is not None:
                neighbour.close()
        self.postgres.stop()

    def pids(self) -> dict[str, int]:
        """Return the root process of everything that runs, by name."""
        found = {name: part.pid for name, part in self.parts.items() if part.process is not None}
        found["postgres"] = self.postgres.pid or 0
        for name, neighbour in (("rabbitmq", self.rabbitmq), ("redis", self.redis)):
            if neighbour is not None:
                found[name] = neighbour.pid
        return found

    def check_alive(self) -> None:
        """Fail if a part has ended by itself: nginx hides that, and figures would be of fewer."""
        ended = [
            f"{name} ({part.process and part.process.poll()}):\n{part.log.read_text()[-2000:]}"
            for name, part in self.parts.items()
            if part.process is None or part.process.poll() is not None
        ]
        assert not ended, "\n".join(ended)

    def restart(self, name: str) -> None:
        """Start a part that was killed or stopped."""
        self.parts[name].start()

    def shoot_postgres(self) -> None:
        """Stop PostgreSQL as `pg_ctl -m immediate` does."""
        assert self.postgres.pid is not None
        os.kill(self.postgres.pid, signal.SIGQUIT)
        wait_until(lambda: self.postgres.poll() is not None, timeout_s=30, what="PostgreSQL ends")

    def answers(self, path: str = "/health/ready") -> bool:
        """Return whether nginx brings a 200 from here."""
        try:
            return self.get(path).status_code == 200
        except requests.RequestException:
            return False

    def wait_ready(self, timeout_s: float = 60) -> float:
        """Wait until every server is ready, and nginx says so; return the seconds that took."""
        begin = time.monotonic()
        for name in SERVERS:
            url = self.parts[name].ready_url.removesuffix("/live") + "/ready"
            wait_until(
                lambda url=url: answers(url),  # type: ignore[misc]
                timeout_s=timeout_s,
                what=f"{name} is ready; see {self.parts[name].log}",
            )
        wait_until(self.answers, timeout_s=timeout_s, what="ready through nginx")
        return time.monotonic() - begin

    def get(self, path: str, **options: Any) -> requests.Response:
        """Get a path through nginx."""
        return requests.get(self.base + path, headers=self.headers, timeout=60, **options)

    def send(self, body: bytes, headers: Mapping[str, str], path: str) -> requests.Response:
        """Post a body through nginx."""
        return requests.post(
            self.base + path, data=body, headers={**headers, **self.headers}, timeout=60
        )

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the result of an instant query through nginx."""
        answer = requests.post(
            f"{self.base}/prometheus/api/v1/query",
            data={"query": query},
            headers=self.headers,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def read_stored(self, metric: str) -> np.ndarray:
        """Return every stored record (series, time_ms, value) of a metric, repeated ones too."""
        return read_stored(self.postgres.url, metric)

    def _make_parts(self) -> None:
        env = clean_environment(
            DATABASE_URL=self.postgres.url,
            TIDEGAUGE_ACCESS_TOKEN=TOKEN,
            TIDEGAUGE_TRUSTED_PROXIES="127.0.0.0/8",
            TIDEGAUGE_RATE_INGEST_PER_MINUTE=_UNLIMITED,
            TIDEGAUGE_RATE_QUERY_PER_MINUTE=_UNLIMITED,
            TIDEGAUGE_RATE_TOKEN_QUERY_PER_MINUTE=_UNLIMITED,
            **({"RABBITMQ_URL": self.rabbitmq.url} if self.rabbitmq else {}),
            **({"REDIS_URL": self.redis.url} if self.redis else {}),
            **self._settings,
        )
        for name in WORKERS if self.rabbitmq else ():
            self._add(name, "worker", free_port(), env)
        ports = [free_port() for _ in SERVERS]
        for name, port in zip(SERVERS, ports, strict=True):
            self._add(name, "serve", port, env)
        config = self.folder / "nginx.conf"
        servers = "\n".join(f"    server 127.0.0.1:{port} fail_timeout=1s;" for port in ports)
        # Its workers put large bodies below a folder that only the user of the tests may enter.
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(
            _NGINX.format(user=user, folder=self.folder, servers=servers, port=self.port)
        )
        command = [
            str(find_program("nginx")),
            "-p",
            str(self.folder),
            "-e",
            "stderr",
            "-c",
            str(config),
        ]
        self.parts["nginx"] = Part("nginx", command, env, self.folder, f"{self.base}/health/live")

    def _add(self, name: str, command: str, port: int, env: Mapping[str, str]) -> None:
        whole = [sys.executable, "-m", "tidegauge", command, "--port", str(port)]
        url = f"http://127.0.0.1:{port}/health/live"
        self.parts[name] = Part(name, whole, env, self.folder, url)


def _neighbours(
    folder: Path, *, queue: bool, cache: bool
) -> tuple[RabbitMQ | None, OwnRedis | None]:
    """Return a RabbitMQ and a Redis, not started; None for what is not wanted."""
    return (
        RabbitMQ(folder / "rabbitmq") if queue else None,
        OwnRedis(folder / "redis") if cache else None,
    )
