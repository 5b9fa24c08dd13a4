"""Dashboards on a PostgreSQL of their own, and people of every kind."""

from __future__ import annotations

import dataclasses
import io
import itertools
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from tidegauge.auth.principal import STRANGER, Principal, person
from tidegauge.cache.inprocess import InProcessCache
from tidegauge.config import BreakerConfig, Config, DashboardsConfig, DatabaseConfig
from tidegauge.observability.logs import make_logger
from tidegauge.query.parsing import QueryParser
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.services.dashboards import DashboardServices, make_dashboards
from tidegauge.services.parts import DashboardTables, Tools
from tidegauge.storage.dashboard_folders import DashboardFolders
from tidegauge.storage.dashboards import Dashboards
from tidegauge.storage.pool import Pool

OWNER = person(1, "ada", "editor")
OTHER = person(2, "bob", "editor")
VIEWER = person(3, "vic", "viewer")
ADMIN = person(4, "root", "admin")
PEOPLE: dict[str, Principal] = {
    "owner": OWNER,
    "other": OTHER,
    "viewer": VIEWER,
    "admin": ADMIN,
    "stranger": STRANGER,
}


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


@pytest.fixture
def config() -> DashboardsConfig:
    """The settings; a module's tests may override this fixture."""
    return DashboardsConfig()


@pytest.fixture
def open_process(migrated_database_url: str, config: DashboardsConfig) -> Iterator[Callable]:
    """A function that starts one more process on the same database."""
    pools: list[Pool] = []

    def open_one(cache: InProcessCache | None = None) -> Process:
        pool = Pool.from_config(DatabaseConfig(pool_size=10), url=migrated_database_url)
        pools.append(pool)
        tables = DashboardTables(Dashboards(pool=pool), DashboardFolders(pool=pool))
        numbers = itertools.count()
        cache = cache or InProcessCache(
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
                log=make_logger(io.BytesIO(), level="error", service="t", clock_ms=lambda: 0),
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
