"""The services of an evaluator: it asks what alert rules ask, and stores what follows."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.asking import Asker
from tidegauge.alerts.evaluator import ROUND_S, Evaluator
from tidegauge.alerts.live_state import LiveState
from tidegauge.alerts.recent import RecentSamples
from tidegauge.alerts.results import Results
from tidegauge.alerts.retention import PastKeeper
from tidegauge.alerts.turns import LATE_S, LEASE_S, Turns
from tidegauge.alerts.workers import Workers
from tidegauge.cache.protocol import Cache
from tidegauge.config import Config
from tidegauge.errors import ConfigError
from tidegauge.observability.exposition import Exposition
from tidegauge.observability.health import Health, timed_check
from tidegauge.observability.logs import adopt_module_loggers
from tidegauge.observability.meters import Meters
from tidegauge.observability.tracing import Tracing
from tidegauge.query.limits import RunningSamples
from tidegauge.query.parsing import QueryParser
from tidegauge.query.service import QueryService
from tidegauge.services.alertmanager import make_external, make_mutings, make_routing
from tidegauge.services.asking import make_admission, make_engine
from tidegauge.services.exposing import open_exposition, sample_connections
from tidegauge.services.kept_alive import KeptAlive
from tidegauge.services.notifications import make_charts, make_delivery
from tidegauge.services.own_metrics import keep_own_metrics
from tidegauge.services.parts import (
    AlertTables,
    StorageParts,
    Tools,
    make_log,
    make_tracing,
    open_shared_cache,
    open_storage_parts,
)
from tidegauge.services.pulse import Pulse
from tidegauge.services.rule_folder import WatchedRules
from tidegauge.services.shipped_rules import ShippedRules, choose_shipped_rules
from tidegauge.services.storing import Storing, open_storing
from tidegauge.services.upkeep import Sizes, make_heartbeat

STOP_S = 15.0
# The queries of rules are the same all the time: those of a few thousand are parsed once.
MEMO_TREES = 4096
# Connections that an evaluator needs besides those of its queries.
OTHER_CONNECTIONS = 6
OWN_METRICS_STOP_S = 8.0


@dataclass(slots=True)
class EvaluatorServices:
    """What an evaluator process runs, and the threads around it.

    Args:
        config: the settings.
        tools: clocks and logger.
        meters: the instruments.
        storage: where samples and alerts are.
        cache: gets a copy of where alerts stand.
        turns: evaluates while it has the lease.
        deliver: tells people until an event is set, whoever has the lease.
        delivering: when that last looked for work.
        close_evaluator: has it evaluate nothing any more.
        storing: stores what this process makes of samples.
        tracing: its spans.
    """

    config: Config
    tools: Tools
    meters: Meters
    storage: StorageParts
    cache: Cache
    turns: Turns
    deliver: Callable[[threading.Event], None]
    delivering: Pulse
    close_evaluator: Callable[[], None]
    storing: Storing
    tracing: Tracing
    health: Health = field(init=False)
    _threads: dict[str, KeptAlive] = field(init=False)
    _watched: WatchedRules = field(init=False)
    _own_metrics: KeptAlive | None = field(init=False, default=None)
    _exposition: Exposition | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._threads = {
            name: KeptAlive(name, work, monotonic=self.tools.monotonic, log=self.tools.log)
            for name, work in self._list_works().items()
        }
        self.health = Health(
            {
                "database": timed_check(self.storage.ping, monotonic=self.tools.monotonic),
                "rules": self.turns.check,
                "outbox": self.delivering.check,
                "rule-files": self._watched.check,
                **{name: thread.check for name, thread in self._threads.items()},
            },
            monotonic=self.tools.monotonic,
        )

    def _list_works(self) -> dict[str, Callable[[threading.Event], None]]:
        assert self.storage.alerts is not None

        def leads() -> bool:
            return self.turns.leads

        sizes = Sizes(
            upkeep=self.storage.alerts.upkeep,
            config=self.config,
            tools=self.tools,
            meters=self.meters,
            leads=leads,
        )
        shipped = ShippedRules(
            rules=self.storage.alerts.rules,
            wanted=choose_shipped_rules(self.config),
            tools=self.tools,
            leads=leads,
        )
        past = PastKeeper(
            retention=self.storage.alerts.retention,
            keep_days=self.config.alerts.keep_days,
            is_leading=leads,
            log=self.tools.log,
        )
        self._watched = WatchedRules(
            config=self.config,
            tables=self.storage.alerts,
            tools=self.tools,
            meters=self.meters.alerts,
            leads=leads,
        )
        works = {
            "evaluator": self.turns.run,
            "delivery": self.deliver,
            "sizes": sizes.run,
            "shipped-rules": shipped.run,
            "retention": past.run,
        }
        if self.config.alerts.rules_dir:
            works["watched-rules"] = self._watched.run
        if self.config.notify.heartbeat_url:
            checks = {"rules": self.turns.check, "outbox": self.delivering.check}
            heartbeat = make_heartbeat(
                self.config, self.tools, self.meters, leads=leads, checks=checks
            )
            works["heartbeat"] = heartbeat.run
        return works

    def start(self) -> None:
        """Start evaluating, and showing how that goes.

        Raises:
            ConfigError: the port is taken.
        """
        alerts = self.config.alerts
        self._exposition = open_exposition(
            self.meters, self.health, self.storage, host=alerts.host, port=alerts.port
        )
        self.tracing.open()
        self.storing.start()
        for thread in self._threads.values():
            thread.start()
        if self.config.trace.own_metrics_s:
            self._own_metrics = keep_own_metrics(
                self.config,
                self.tools,
                self.meters,
                service="evaluator",
                ingest=self.storing.ingest,
                refresh=lambda: sample_connections(self.meters, self.storage),
            )
            self._own_metrics.start()

    def close(self) -> None:
        """Finish what is at hand, let the next one take over, let go of the database."""
        for thread in self._threads.values():
            thread.ask_to_stop()
        for thread in self._threads.values():
            thread.join(STOP_S)
        self.close_evaluator()
        if self._own_metrics is not None:
            # Last of all, so that they tell of the end of the others.
            self._own_metrics.ask_to_stop()
            self._own_metrics.join(OWN_METRICS_STOP_S)
        self.storing.close()
        if self._exposition is not None:
            self._exposition.close()
        self.cache.close()
        self.storage.close()
        self.tracing.close()


def build_evaluator(
    config: Config, *, log: FilteringBoundLogger | None = None
) -> EvaluatorServices:
    """Return the services of an evaluator of the rules in DATABASE_URL, started.

    Args:
        config: the settings.
        log: where to log; JSON lines on standard error by default.
    Raises:
        ConfigError: it is not set.
    """
    if not config.database.url:
        raise ConfigError("DATABASE_URL is not set; an evaluator finds its rules and samples there")
    tools = Tools(log=log or make_log(config, "evaluator"))
    adopt_module_loggers(tools.log)
    storage = open_storage_parts(
        _with_connections(config), tools, application_name="tidegauge evaluator"
    )
    assert storage.alerts is not None
    tables = storage.alerts
    meters = Meters()
    cache = open_shared_cache(config, tools, max_connections=2, on_error=meters.cache.failed)
    charts = make_charts(config, tools, meters, storage)
    delivering = Pulse(LATE_S, monotonic=tools.monotonic)
    storing = open_storing(config, tools, meters, storage)
    evaluator = make_evaluator(
        config, tools, meters, storage, tables, cache, store=storing.ingest.ingest_results
    )
    services = EvaluatorServices(
        config=config,
        tools=tools,
        meters=meters,
        storage=storage,
        cache=cache,
        turns=Turns(
            lease=tables.open_lease(f"{socket.gethostname()}/{os.getpid()}", LEASE_S),
            evaluator=evaluator,
            settle_posted=make_external(config, tools, tables).settle_due,
            meters=meters.alerts,
            on_turn=meters.upkeep.lease_token.set,
            monotonic=tools.monotonic,
            log=tools.log,
        ),
        # A fresh one at each start: one that has ended takes nothing more.
        deliver=lambda stop: make_delivery(
            config,
            tools,
            meters,
            outbox=tables.outbox,
            draw=charts.draw,
            on_look=delivering.beat,
        ).run(stop),
        delivering=delivering,
        close_evaluator=evaluator.close,
        storing=storing,
        tracing=make_tracing(config, tools, "evaluator"),
    )
    services.start()
    return services


def _with_connections(config: Config) -> Config:
    """Return the settings with as many database connections as an evaluator needs."""
    least = config.alerts.query_threads + OTHER_CONNECTIONS
    database = replace(config.database, pool_size=max(config.database.pool_size, least))
    return replace(config, database=database)


def make_evaluator(
    config: Config,
    tools: Tools,
    meters: Meters,
    storage: StorageParts,
    tables: AlertTables,
    cache: Cache,
    *,
    store: Callable[..., Sequence[str]],
    round_s: float = ROUND_S,
) -> Evaluator:
    """Return an evaluator over any storage of samples.

    Args:
        store: `IngestService.ingest_results`.
        round_s: how long a round waits for queries.
    """
    threads = config.alerts.query_threads
    parser = QueryParser(max_depth=config.query.max_depth, memo_trees=MEMO_TREES)
    recent = RecentSamples(storage.engine)
    query = QueryService(
        samples=recent,
        engine=make_engine(config),
        parser=parser,
        admission=make_admission(config, tools, meters, max_waiting=threads),
        running=RunningSamples(config.query),
        config=config.query,
        meters=meters,
        monotonic=tools.monotonic,
    )
    return Evaluator(
        rules=tables.rules,
        recordings=tables.recordings,
        changes=tables.changes,
        silences=make_mutings(tools, tables),
        routing=make_routing(tools, tables),
        acknowledgements=tables.acknowledgements,
        asker=Asker(
            query=query,
            meters=meters.alerts,
            query_timeout_ms=config.alerts.query_timeout_ms,
            monotonic=tools.monotonic,
            log=tools.log,
        ),
        workers=Workers(threads=threads, name="rules"),
        recent=recent,
        results=Results(
            store=lambda *columns, timeout_s: store(
                *columns, now_ms=tools.clock_ms(), timeout_s=timeout_s
            ),
            holding=tables.changes.holding,
            meters=meters.alerts,
            monotonic=tools.monotonic,
            log=tools.log,
        ),
        parser=parser,
        live=LiveState(cache=cache),
        meters=meters.alerts,
        monotonic=tools.monotonic,
        log=tools.log,
        alert_series=config.alerts.series == "on",
        round_s=round_s,
    )
