"""Fixtures that every test may use: a PostgreSQL of their own, and fresh databases in it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
from psycopg2 import sql
from tidegauge.config import DatabaseConfig
from tidegauge.storage.embedded import EmbeddedPostgres
from tidegauge.storage.pool import Pool

from tests.support.needs import need_programs
from tests.support.rabbitmq import RabbitMQ, run_rabbitmq
from tests.support.redis import OwnRedis, run_redis

# A test's data need not survive a power cut; tests of durability start the real product.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


_SERVICE_FOLDERS = {"processes", "clients"}
_LONGEST = "processes"
_SERVERS = {"postgres", "rabbitmq", "redis_server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs real services, and put first what takes longest: tests of processes.

    `make test-fast` leaves the marked ones out; `make test` deals the others out by file, in this
    order.
    """
    for item in items:
        needs_server = _SERVERS & set(getattr(item, "fixturenames", ()))
        if needs_server or _SERVICE_FOLDERS & set(item.path.parts):
            item.add_marker(pytest.mark.services)
    items.sort(key=lambda item: _LONGEST not in item.path.parts)


class PostgresServer:
    """A PostgreSQL server in which tests make and drop databases."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        self._names = (f"test_{os.getpid()}_{number}" for number in itertools.count())

    def url_of(self, database: str) -> str:
        """Return the address of one of the server's databases."""
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{database}"))

    def create_database(self, template: str = "template0") -> str:
        """Make a database and return its name."""
        name = next(self._names)
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, cutting the connections to it."""
        self._execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def _execute(self, statement: sql.Composed) -> None:
        with closing(psycopg2.connect(self.admin_url, connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The server at TIDEGAUGE_TEST_DATABASE_URL, or a private one from the wheel."""
    given = os.environ.get("TIDEGAUGE_TEST_DATABASE_URL")
    if given:
        yield PostgresServer(given)
        return
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), settings=_FAST)
    server.start()
    try:
        yield PostgresServer(server.url_of("postgres", superuser=True))
    finally:
        server.stop()


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A private RabbitMQ; a test that stops it starts it again."""
    need_programs("rabbitmq-server")
    with run_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    """A private Redis; a test that stops it starts it again."""
    need_programs("redis-server")
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def make_database(postgres: PostgresServer) -> Iterator[Callable[[], str]]:
    """A function that makes an empty database and returns its address."""
    made: list[str] = []

    def make() -> str:
        made.append(postgres.create_database())
        return postgres.url_of(made[-1])

    yield make
    for name in made:
        postgres.drop_database(name)


@pytest.fixture
def database_url(make_database: Callable[[], str]) -> str:
    """The address of an empty database of this test's own."""
    return make_database()


@pytest.fixture(scope="session")
def migrated_template(postgres: PostgresServer) -> Iterator[str]:
    """The name of a database with all migrations applied, to be cloned."""
    from tidegauge.storage.migrate import apply_migrations

    name = postgres.create_database()
    apply_migrations(postgres.url_of(name))
    yield name
    postgres.drop_database(name)


@pytest.fixture
def migrated_database_url(postgres: PostgresServer, migrated_template: str) -> Iterator[str]:
    """The address of a migrated database of this test's own."""
    name = postgres.create_database(migrated_template)
    yield postgres.url_of(name)
    postgres.drop_database(name)


@pytest.fixture
def pool(migrated_database_url: str) -> Iterator[Pool]:
    """Connections to a migrated database of this test's own."""
    pool = Pool.from_config(DatabaseConfig(), url=migrated_database_url)
    yield pool
    pool.close()


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds the repository."""
    return Path(__file__).resolve().parent.parent
