"""What every process needs, whichever part of the product it runs: tools, storage, a queue."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from tidegauge import __version__
from tidegauge.broker.protocol import Consumer, DeadLetters, Publisher
from tidegauge.cache.opening import open_cache
from tidegauge.cache.protocol import Cache, ErrorCounter
from tidegauge.config import Config
from tidegauge.observability.health import Check
from tidegauge.observability.logs import make_logger
from tidegauge.observability.tracing import Tracing
from tidegauge.storage.acknowledgements import Acknowledgements
from tidegauge.storage.alert_changes import AlertChanges
from tidegauge.storage.alert_events import AlertEvents
from tidegauge.storage.alert_lease import AlertLease
from tidegauge.storage.alert_ledger import AlertLedger
from tidegauge.storage.alert_retention import AlertRetention
from tidegauge.storage.alert_routes import AlertRoutes
from tidegauge.storage.alert_rules import AlertRules
from tidegauge.storage.alert_statistics import AlertStatistics
from tidegauge.storage.audit import AuditLog
from tidegauge.storage.credentials import Credentials
from tidegauge.storage.dashboard_files import DashboardFiles
from tidegauge.storage.dashboard_folders import DashboardFolders
from tidegauge.storage.dashboards import Dashboards
from tidegauge.storage.external_alerts import ExternalAlerts
from tidegauge.storage.maintenance_windows import MaintenanceWindows
from tidegauge.storage.memory_annotations import MemoryAnnotations
from tidegauge.storage.opening import open_storage
from tidegauge.storage.outbox import Outbox
from tidegauge.storage.protocol import AnnotationStore, Catalogue, SampleEngine
from tidegauge.storage.recording_rules import RecordingRules
from tidegauge.storage.silences import Silences
from tidegauge.storage.upkeep import Upkeep
from tidegauge.storage.users import Users

PING_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class PeopleTables:
    """The record of people and of what they changed."""

    users: Users
    credentials: Credentials
    audit: AuditLog


@dataclass(frozen=True, slots=True)
class AlertTables:
    """The record of alerting and recording rules, and of what came of them.

    Args:
        open_lease: returns the lease on evaluating them, by who asks and its seconds.
    """

    rules: AlertRules
    recordings: RecordingRules
    changes: AlertChanges
    events: AlertEvents
    external: ExternalAlerts
    outbox: Outbox
    silences: Silences
    routes: AlertRoutes
    acknowledgements: Acknowledgements
    upkeep: Upkeep
    windows: MaintenanceWindows
    ledger: AlertLedger
    statistics: AlertStatistics
    retention: AlertRetention
    open_lease: Callable[[str, float], AlertLease]


@dataclass(frozen=True, slots=True)
class DashboardTables:
    """The record of dashboards and folders."""

    dashboards: Dashboards
    folders: DashboardFolders
    files: DashboardFiles


@dataclass(frozen=True, slots=True)
class StorageParts:
    """What the services need of storage, whichever kind it is.

    Args:
        engine: the samples.
        catalogue: the series.
        annotations: the marks.
        ping: returns when the database answers, raises when not.
        connections_active: database connections in use.
        connections_limit: the most there may be.
        close: gives everything back.
        people: the record of people; None where there are no accounts.
        alerts: the record of alert rules; None where there are none.
        dashboards: the record of dashboards; None where there are none.
    """

    engine: SampleEngine
    catalogue: Catalogue
    annotations: AnnotationStore = field(default_factory=MemoryAnnotations)
    ping: Callable[[], None] = lambda: None
    connections_active: Callable[[], int] = lambda: 0
    connections_limit: int = 0
    close: Callable[[], None] = lambda: None
    people: PeopleTables | None = None
    alerts: AlertTables | None = None
    dashboards: DashboardTables | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """The clocks, the ids and the logger that everything shares.

    Args:
        log: JSON lines.
        clock_ms: Unix ms.
        monotonic: seconds; what deadlines are measured by.
        new_id: makes a request id.
    """

    log: FilteringBoundLogger
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class QueueParts:
    """The queue as one process sees it.

    Args:
        name: what its health check is called.
        publisher: takes messages.
        dead_letters: what was put aside.
        depth: how many messages are not settled; raises Unavailable when nobody can say.
        limit: the most there may be.
        check: its health.
        close: lets go of it.
        confirm_timeout_s: how long a request waits until its messages are durable.
        max_message_bytes: a larger batch goes in several messages; None: in one.
        drained: the consumer that this process must empty before it ends; None where others do.
    """

    name: str
    publisher: Publisher
    dead_letters: DeadLetters
    depth: Callable[[], int]
    limit: int
    check: Check
    close: Callable[[], None]
    confirm_timeout_s: float
    max_message_bytes: int | None = None
    drained: Consumer | None = None


def open_storage_parts(config: Config, tools: Tools, *, application_name: str) -> StorageParts:
    """Return the storage at `config.database.url`; it connects when first used."""
    opened = open_storage(
        config.database,
        url=config.database.url,
        application_name=application_name,
        clock_ms=tools.clock_ms,
        monotonic=tools.monotonic,
    )

    def ping() -> None:
        with opened.pool.transaction(deadline_s=tools.monotonic() + PING_TIMEOUT_S):
            pass

    return StorageParts(
        engine=opened.engine,
        catalogue=opened.catalogue,
        annotations=opened.annotations,
        ping=ping,
        connections_active=lambda: opened.pool.in_use,
        connections_limit=opened.pool.size,
        close=opened.close,
        people=PeopleTables(
            users=Users(pool=opened.pool),
            credentials=Credentials(pool=opened.pool),
            audit=AuditLog(pool=opened.pool),
        ),
        alerts=AlertTables(
            rules=AlertRules(pool=opened.pool),
            recordings=RecordingRules(pool=opened.pool),
            changes=AlertChanges(pool=opened.pool),
            events=AlertEvents(pool=opened.pool),
            external=ExternalAlerts(pool=opened.pool),
            outbox=Outbox(pool=opened.pool),
            silences=Silences(pool=opened.pool),
            routes=AlertRoutes(pool=opened.pool),
            acknowledgements=Acknowledgements(pool=opened.pool),
            upkeep=Upkeep(pool=opened.pool),
            windows=MaintenanceWindows(pool=opened.pool),
            ledger=AlertLedger(pool=opened.pool),
            statistics=AlertStatistics(pool=opened.pool),
            retention=AlertRetention(pool=opened.pool),
            open_lease=lambda holder, lease_s: AlertLease(
                pool=opened.pool, holder=holder, lease_s=lease_s
            ),
        ),
        dashboards=DashboardTables(
            dashboards=Dashboards(pool=opened.pool),
            folders=DashboardFolders(pool=opened.pool),
            files=DashboardFiles(pool=opened.pool),
        ),
    )


def open_shared_cache(
    config: Config, tools: Tools, *, max_connections: int, on_error: ErrorCounter
) -> Cache:
    """Return the cache that all processes share, where there is a Redis; else this one's own.

    Args:
        max_connections: to Redis, at once.
        on_error: is told what failed.
    """
    return open_cache(
        config.cache,
        max_connections=max_connections,
        monotonic=tools.monotonic,
        new_id=tools.new_id,
        on_error=on_error,
        log=tools.log,
    )


def make_tracing(config: Config, tools: Tools, service: str) -> Tracing:
    """Return the tracing of a process, not begun yet."""
    return Tracing(
        config.trace,
        service=service,
        version=__version__,
        log=tools.log,
        monotonic=tools.monotonic,
    )


def make_log(config: Config, service: str) -> FilteringBoundLogger:
    """Return the logger of a process: JSON lines on standard error.

    Args:
        config: the level.
        service: which of our processes this is.
    """
    return make_logger(
        sys.stderr.buffer,
        level=config.log.level,
        service=service,
        clock_ms=lambda: time.time_ns() // 1_000_000,
    )
