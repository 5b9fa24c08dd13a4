"""Dashboards on a PostgreSQL of their own, and people of every kind."""

from __future__ import annotations

import dataclasses
import io
import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg2
import pytest
from tidegauge.auth.principal import STRANGER, person
from tidegauge.cache.inprocess import InProcessCache
from tidegauge.config import BreakerConfig, Config, DashboardsConfig, DatabaseConfig
from tidegauge.dashboards.access import Sender
from tidegauge.observability.logs import make_logger
from tidegauge.query.parsing import QueryParser
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.services.dashboards import DashboardServices, make_dashboards
from tidegauge.services.parts import DashboardTables, Tools
from tidegauge.storage.dashboard_files import DashboardFiles
from tidegauge.storage.dashboard_folders import DashboardFolders
from tidegauge.storage.dashboards import Dashboards
from tidegauge.storage.pool import Pool

OWNER = Sender.of(person(1, "ada", "editor"))
OTHER = Sender.of(person(2, "bob", "editor"))
VIEWER = Sender.of(person(3, "vic", "viewer"))
ADMIN = Sender.of(person(4, "root", "admin"))
PEOPLE: dict[str, Sender] = {
    "owner": OWNER,
    "other": OTHER,
    "viewer": VIEWER,
    "admin": ADMIN,
    "stranger": Sender.of(STRANGER),
}


def add_people(database_url: str) -> None:
    """Give everybody with an id an account."""
    with closing(psycopg2.connect(database_url)) as made, made, made.cursor() as at:
        for one in (OWNER, OTHER, VIEWER, ADMIN):
            known = one.principal
            at.execute(
                "INSERT INTO users (id, name, password_hash, role) VALUES (%s, %s, 'x', %s)",
                (known.user_id, known.name, known.role),
            )


@dataclasses.dataclass
class Process:
    """One process's services over the shared tables, with the cache it was given."""

    services: DashboardServices
    cache: InProcessCache
    tables: DashboardTables
    breaker: CircuitBreaker

    def __post_init__(self) -> None:
        self.dashboards = self.services.dashboards
        self.panels = self.services.panels
        self.history = self.services.history
        self.folders = self.services.folders
        self.provisioning = self.services.provisioning


@pytest.fixture
def config() -> DashboardsConfig:
    """The settings; a module's tests may override this fixture."""
    return DashboardsConfig()


@pytest.fixture
def open_process(migrated_database_url: str, config: DashboardsConfig) -> Iterator[Callable]:
    """A function that starts one more process on the same database."""
    pools: list[Pool] = []
    add_people(migrated_database_url)

    def open_one(log_stream: io.BytesIO | None = None) -> Process:
        pool = Pool.from_config(DatabaseConfig(pool_size=10), url=migrated_database_url)
        pools.append(pool)
        tables = DashboardTables(
            Dashboards(pool=pool), DashboardFolders(pool=pool), DashboardFiles(pool=pool)
        )
        numbers = itertools.count()
        cache = InProcessCache(
            max_bytes=10_000_000,
            monotonic=time.monotonic,
            new_id=lambda: f"token-{next(numbers)}",
        )
        breaker = CircuitBreaker(
            "dashboards", BreakerConfig(), is_failure=lambda _fault: False, monotonic=time.monotonic
        )
        services = make_dashboards(
            tables,
            Config(dashboards=config),
            Tools(
                log=make_logger(
                    log_stream or io.BytesIO(), level="info", service="t", clock_ms=lambda: 0
                ),
                new_id=lambda: uuid.uuid4().hex,
            ),
            cache=cache,
            parser=QueryParser(max_depth=100),
            breaker=breaker,
        )
        return Process(services, cache, tables, breaker)

    yield open_one
    for pool in pools:
        pool.close()


@pytest.fixture
def process(open_process: Callable[[], Process]) -> Process:
    """One process."""
    return open_process()
