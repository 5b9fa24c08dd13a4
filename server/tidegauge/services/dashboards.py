"""The services of dashboards, put together."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tidegauge.auth.actor import SYSTEM
from tidegauge.auth.permissions import ROLE_PERMISSIONS
from tidegauge.auth.principal import LOCAL
from tidegauge.cache.protocol import Cache
from tidegauge.config import Config
from tidegauge.dashboards.access import Sender
from tidegauge.dashboards.folders import FolderService
from tidegauge.dashboards.guarded import is_dashboard_failure
from tidegauge.dashboards.history import HistoryService
from tidegauge.dashboards.panels import PanelService
from tidegauge.dashboards.provisioning import Provisioning
from tidegauge.dashboards.reads import DashboardReads
from tidegauge.dashboards.service import DashboardService
from tidegauge.errors import Unavailable
from tidegauge.query.parsing import QueryParser
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.services.commands import lend_storage
from tidegauge.services.parts import DashboardTables, Tools
from tidegauge.storage.users import Users

_FILES = replace(
    LOCAL, key=SYSTEM.key, name="a file", permissions=ROLE_PERMISSIONS["admin"], role="admin"
)


@dataclass(frozen=True, slots=True)
class DashboardServices:
    """Dashboards, their panels, their versions, their folders, and the files they came from."""

    dashboards: DashboardService
    panels: PanelService
    history: HistoryService
    folders: FolderService
    provisioning: Provisioning


def make_dashboards(
    tables: DashboardTables,
    config: Config,
    tools: Tools,
    *,
    cache: Cache,
    parser: QueryParser,
    breaker: CircuitBreaker,
) -> DashboardServices:
    """Return the services over these tables.

    Args:
        cache: shared by all processes, where there are several.
        parser: checks queries.
        breaker: guards the tables.
    """
    dashboards = DashboardService(
        store=tables.dashboards,
        folders=tables.folders,
        reads=DashboardReads(store=tables.dashboards, cache=cache, ttl_s=config.dashboards.cache_s),
        parser=parser,
        config=config.dashboards,
        breaker=breaker,
        new_uid=tools.new_id,
    )
    return DashboardServices(
        dashboards=dashboards,
        panels=PanelService(dashboards=dashboards),
        history=HistoryService(store=tables.dashboards, dashboards=dashboards),
        folders=FolderService(store=tables.folders, breaker=breaker, new_uid=tools.new_id),
        provisioning=Provisioning(
            folder=Path(config.dashboards.folder) if config.dashboards.folder else None,
            files=tables.files,
            dashboards=dashboards,
            sender=Sender(_FILES, SYSTEM),
            datasource_uid=config.dashboards.datasource_uid,
            log=tools.log,
        ),
    )


def keep_provisioned(
    provisioning: Provisioning, stop: threading.Event, *, scan_s: float, tools: Tools
) -> None:
    """Load the provisioning folder now and on change, until `stop` is set."""
    while True:
        try:
            provisioning.scan()
        except Unavailable as exc:
            # The health check says so; the files wait.
            tools.log.debug("dashboards are not loaded now", reason=exc.message)
        if stop.wait(scan_s):
            return


@contextlib.contextmanager
def open_dashboards(config: Config) -> Iterator[tuple[DashboardServices, Users]]:
    """Lend the dashboards in the database at `config.database.url`, and the users, to a command."""
    with lend_storage(config) as (storage, cache, tools):
        assert storage.dashboards is not None
        assert storage.people is not None
        made = make_dashboards(
            storage.dashboards,
            config,
            tools,
            cache=cache,
            parser=QueryParser(max_depth=config.query.max_depth),
            breaker=CircuitBreaker("dashboards", config.breaker, is_failure=is_dashboard_failure),
        )
        yield made, storage.people.users
