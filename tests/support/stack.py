"""The real set: nginx before two servers, RabbitMQ, Redis, two workers, PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import requests
from tidegauge.cli.up import ALLOCATOR
from tidegauge.storage.embedded import EmbeddedPostgres
from tidegauge.storage.migrate import apply_migrations

from tests.support.nginx import prepare_nginx
from tests.support.product import children_of, clean_environment, read_stored
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import OwnRedis
from tests.support.relay import Relay, measure_amqp, measure_postgresql, relayed_url, socket_of
from tests.support.servers import answers, free_port, wait_until

TOKEN = "a-token-for-tests-only"
AUTHORIZATION = {"Authorization": f"Bearer {TOKEN}"}
SERVERS = ("server-1", "server-2")
WORKERS = ("worker-1", "worker-2")
START_S = 60.0
_UNLIMITED = "100000000"


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

    @classmethod
    def of_tidegauge(cls, name: str, command: str, env: Mapping[str, str], folder: Path) -> Part:
        """Return a `tidegauge serve` or `worker` on a free port."""
        port = free_port()
        whole = [sys.executable, "-m", "tidegauge", command, "--port", str(port)]
        # What a server says of its parts is for those whom it knows.
        path = "/health/live" if command == "serve" else "/health"
        return cls(name, whole, env, folder, f"http://127.0.0.1:{port}{path}")

    @property
    def base(self) -> str:
        """The address that its paths begin with."""
        return self.ready_url.partition("/health")[0]

    @property
    def runs(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def start(self, timeout_s: float = START_S) -> None:
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
                timeout_s=timeout_s,
                what=f"{self.name} answers; see {self.log}",
            )
        assert process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-3000:]}"

    def change(self, environment: Mapping[str, str | None]) -> None:
        """Let it have these variables from its next start on; None takes one away."""
        for name, value in environment.items():
            if value is None:
                self._env.pop(name, None)
            else:
                self._env[name] = value

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
        relayed: all reach PostgreSQL through `database_relay`, and each server reaches RabbitMQ
            through its own of `broker_relays`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        queue: bool = True,
        cache: bool = True,
        settings: Mapping[str, str] | None = None,
        relayed: bool = False,
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
        self._relayed = relayed
        self.database_relay: Relay | None = None
        self.broker_relays: dict[str, Relay] = {}

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
        if self._relayed:
            self._make_relays()
        self._make_parts()
        for part in self.parts.values():
            part.start()
        self.wait_ready()
        self.check_alive()

    def revive(self) -> None:
        """Start what does not run, and wait until all is ready."""
        if self.postgres.poll() is not None:
            self.postgres.start()
        for neighbour in (self.rabbitmq, self.redis):
            if neighbour is not None and not neighbour.pid:
                neighbour.start()
        for part in self.parts.values():
            if not part.runs:
                part.start()
        self.wait_ready()

    def close(self) -> None:
        """End everything that runs, in order."""
        for part in reversed(self.parts.values()):
            if part.runs:
                part.stop()
        for neighbour in (self.redis, self.rabbitmq):
            if neighbour is not None:
                neighbour.close()
        self.postgres.stop()
        for relay in (self.database_relay, *self.broker_relays.values()):
            if relay is not None:
                relay.close()

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
            if not part.runs
        ]
        assert not ended, "\n".join(ended)

    def restart(self, name: str, timeout_s: float = START_S) -> None:
        """Start a part that was killed or stopped, and wait until it works."""
        self.parts[name].start(timeout_s)

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

    def wait_ready(self, timeout_s: float = START_S) -> float:
        """Wait until every server is ready, and nginx says so; return the seconds that took.

        Args:
            timeout_s: for all of that together; who waits longer fails.
        """
        begin = time.monotonic()
        for name in SERVERS:
            url = f"{self.parts[name].base}/health/ready"
            wait_until(
                lambda url=url: answers(url),  # type: ignore[misc]
                timeout_s=begin + timeout_s - time.monotonic(),
                what=f"{name} is ready; see {self.parts[name].log}",
            )
        left_s = begin + timeout_s - time.monotonic()
        wait_until(self.answers, timeout_s=left_s, what="ready through nginx")
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

    def count(self, statement: str, *values: object) -> int:
        """Return the one number that a statement asks the database for, with no relay between."""
        with (
            closing(psycopg2.connect(self.postgres.url, connect_timeout=5)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values)
            (found,) = cursor.fetchone() or (0,)
            return int(found)

    def environment(self) -> dict[str, str]:
        """Return the environment of a worker, or of a server that needs no relay to RabbitMQ."""
        relay = self.database_relay
        return clean_environment(
            DATABASE_URL=relayed_url(self.postgres.url, relay) if relay else self.postgres.url,
            TIDEGAUGE_ACCESS_TOKEN=TOKEN,
            TIDEGAUGE_TRUSTED_PROXIES="127.0.0.0/8",
            TIDEGAUGE_RATE_INGEST_PER_MINUTE=_UNLIMITED,
            TIDEGAUGE_RATE_QUERY_PER_MINUTE=_UNLIMITED,
            TIDEGAUGE_RATE_TOKEN_QUERY_PER_MINUTE=_UNLIMITED,
            **({"RABBITMQ_URL": self.rabbitmq.url} if self.rabbitmq else {}),
            **({"REDIS_URL": self.redis.url} if self.redis else {}),
            **ALLOCATOR,
            **self._settings,
        )

    def _make_relays(self) -> None:
        self.database_relay = Relay(socket_of(self.postgres.url), measure_postgresql)
        if self.rabbitmq is not None:
            target = ("127.0.0.1", self.rabbitmq.port)
            self.broker_relays = {name: Relay(target, measure_amqp) for name in SERVERS}

    def _make_parts(self) -> None:
        env = self.environment()
        for name in WORKERS if self.rabbitmq else ():
            self.parts[name] = Part.of_tidegauge(name, "worker", env, self.folder)
        for name in SERVERS:
            relay = self.broker_relays.get(name)
            own = {"RABBITMQ_URL": self.rabbitmq.url_at(relay.port)} if relay else {}
            server = Part.of_tidegauge(name, "serve", {**env, **own}, self.folder)
            self.parts[name] = server
        api = [self.parts[name].base.removeprefix("http://") for name in SERVERS]
        command = prepare_nginx(self.folder, port=self.port, api=api)
        self.parts["nginx"] = Part("nginx", command, env, self.folder, f"{self.base}/health/live")


def _neighbours(
    folder: Path, *, queue: bool, cache: bool
) -> tuple[RabbitMQ | None, OwnRedis | None]:
    """Return a RabbitMQ and a Redis, not started; None for what is not wanted."""
    return (
        RabbitMQ(folder / "rabbitmq") if queue else None,
        OwnRedis(folder / "redis") if cache else None,
    )
