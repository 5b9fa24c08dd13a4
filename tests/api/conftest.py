"""A whole application over storage in memory, and the ways in which tests talk to it."""

from __future__ import annotations

import dataclasses
import io
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

import orjson
import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.permissions import Role
from tidegauge.auth.principal import person
from tidegauge.config import Config, DatabaseConfig, TraceConfig
from tidegauge.errors import TidegaugeError
from tidegauge.observability.logs import make_logger
from tidegauge.observability.meters import Meters
from tidegauge.services import Services, StorageParts, Tools, assemble, build_services
from tidegauge.storage.memory import MemoryStorage

from tests.support import wire
from tests.support.people import ALMIGHTY
from tests.support.servers import wait_until
from tests.support.town import Town, open_town

NOW_MS = 1_700_000_000_000


@dataclasses.dataclass
class Database:
    """The storage under the application; with a fault its health check finds it away."""

    storage: MemoryStorage
    fault: TidegaugeError | None = None

    def ping(self) -> None:
        """Answer, or fail."""
        if self.fault is not None:
            raise self.fault


@dataclasses.dataclass
class Clock:
    """The application's time, Unix ms; it stands still unless a test moves it."""

    now_ms: int = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config() -> Config:
    """The settings; a module's tests may override this fixture."""
    return Config(trace=TraceConfig(own_metrics_s=0))


@pytest.fixture
def log_stream() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def log_lines(log_stream: io.BytesIO) -> Callable[[], list[dict[str, object]]]:
    """Return what was logged so far, parsed."""
    return lambda: [orjson.loads(line) for line in log_stream.getvalue().splitlines()]


@pytest.fixture
def database() -> Database:
    return Database(MemoryStorage(clock_ms=lambda: NOW_MS))


def assemble_over(
    database: Database, config: Config, log_stream: io.BytesIO, clock: Clock
) -> Services:
    """Return the services of one API process, not started."""
    numbers = itertools.count(1)
    log = make_logger(log_stream, level=config.log.level, service="api", clock_ms=lambda: NOW_MS)
    tools = Tools(
        log=log,
        clock_ms=clock,
        monotonic=time.monotonic,
        new_id=lambda: f"id-{next(numbers)}",
    )
    parts = StorageParts(engine=database.storage, catalogue=database.storage, ping=database.ping)
    return assemble(config, storage=parts, tools=tools, meters=Meters())


@pytest.fixture
def idle_services(
    config: Config, database: Database, log_stream: io.BytesIO, clock: Clock
) -> Services:
    """The services at a time that stands still, not started."""
    return assemble_over(database, config, log_stream, clock)


@pytest.fixture
def services(
    request: pytest.FixtureRequest, config: Config, log_stream: io.BytesIO
) -> Iterator[Services]:
    """The services, started: over the database that the settings name, or storage in memory."""
    if config.database.url:
        log = make_logger(log_stream, level=config.log.level, service="api", clock_ms=lambda: 0)
        started = build_services(config, log=log)
    else:
        started = request.getfixturevalue("idle_services")
        started.start()
    yield started
    started.close()


@pytest.fixture
def app(services: Services) -> Flask:
    """The application, to which programs on this machine may say anything."""
    return create_app(services, local=ALMIGHTY)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def push(client: FlaskClient) -> Callable[..., None]:
    """Ingest one point through the JSON API."""

    def send(name: str, value: object, tags: Mapping[str, str], time_ms: int) -> None:
        point = {"name": name, "value": value, "tags": dict(tags), "timestamp": time_ms}
        response = client.post("/api/v1/metrics", data=orjson.dumps([point]))
        assert response.status_code == 202, response.get_data(as_text=True)

    return send


@pytest.fixture
def write_body() -> Callable[[Mapping[str, str], Sequence[tuple[int, float]]], bytes]:
    """Make the body of a remote write of one series."""
    return lambda labels, points: wire.compress(wire.write_request([(labels, points)]))


@pytest.fixture
def push_remote(client: FlaskClient, write_body):
    """Ingest one series by remote write, and return the response."""

    def send(
        labels: Mapping[str, str],
        points: Sequence[tuple[int, float]],
        *,
        path: str = "/prometheus/api/v1/write",
    ):
        return client.post(path, data=write_body(labels, points), headers=wire.HEADERS)

    return send


@pytest.fixture
def push_metadata(client: FlaskClient):
    """Ingest the metadata of one metric by remote write."""
    kinds = {"counter": 1, "gauge": 2}

    def send(name: str, *, type: str, help: str, unit: str) -> None:
        body = wire.metadata(name, kind=kinds[type], help=help, unit=unit)
        response = client.post(
            "/prometheus/api/v1/write",
            data=wire.compress(body),
            headers=wire.HEADERS,
        )
        assert response.status_code == 204, response.get_data(as_text=True)

    return send


@pytest.fixture
def wait() -> Callable[[Callable[[], bool]], None]:
    """Wait until something holds, for the five seconds within which ends must be seen."""
    return lambda holds: wait_until(holds, timeout_s=5, what="it holds")


@pytest.fixture
def dump_database() -> Callable[[str], bytes]:
    """Return every row of every table of ours, as text."""

    def dump(url: str) -> bytes:
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT quote_ident(relname) FROM pg_class"
                " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
            out = io.BytesIO()
            for (table,) in cursor.fetchall():
                cursor.copy_expert(f"COPY {table} TO STDOUT", out)
            return out.getvalue()

    return dump


@pytest.fixture(scope="module")
def town(postgres, migrated_template: str) -> Iterator[Town]:
    """People with browsers before an application on a real PostgreSQL, for a module's tests."""
    name = postgres.create_database(migrated_template)
    with open_town(postgres.url_of(name)) as made:
        yield made
    postgres.drop_database(name)


@pytest.fixture
def stored_services(migrated_database_url: str) -> Iterator[Services]:
    """Services over a database of the test's own, without its own metrics in it."""
    config = Config(
        database=DatabaseConfig(url=migrated_database_url), trace=TraceConfig(own_metrics_s=0)
    )
    log = make_logger(io.BytesIO(), level="error", service="api", clock_ms=lambda: 0)
    built = build_services(config, log=log)
    yield built
    built.close()


@pytest.fixture
def client_of(services: Services) -> Callable[[Role], FlaskClient]:
    """A function that returns a client of somebody with a role."""
    return lambda role: create_app(services, local=person(7, role, role)).test_client()
