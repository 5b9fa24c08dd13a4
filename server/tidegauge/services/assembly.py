"""Puts the services of one API process together, from settings to threads that run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from tidegauge.alerts.acknowledging import AcknowledgeService
from tidegauge.alerts.backtest.service import BacktestService
from tidegauge.alerts.explain import Explainer
from tidegauge.alerts.maintenance import MaintenanceService
from tidegauge.alerts.marks import list_marks
from tidegauge.alerts.routing import CurrentRouting, RoutingService
from tidegauge.alerts.service import AlertService
from tidegauge.alerts.silencing import SilenceService
from tidegauge.annotations.service import AnnotationService
from tidegauge.config import Config
from tidegauge.dashboards.guarded import is_dashboard_failure
from tidegauge.ingest.guarded import GuardedPublisher, is_publish_failure
from tidegauge.ingest.service import IngestService
from tidegauge.ingest.writer import BatchWriter
from tidegauge.observability.logs import adopt_module_loggers
from tidegauge.observability.meters import Meters
from tidegauge.query.admission import Admission, is_query_failure
from tidegauge.query.all_running import AllQueries
from tidegauge.query.freshness import WatchedSamples, WriteWatch
from tidegauge.query.limits import RunningSamples
from tidegauge.query.listings import Listings
from tidegauge.query.parsing import QueryParser
from tidegauge.query.raw import RawReads
from tidegauge.query.result_cache import ResultCache
from tidegauge.query.service import QueryService
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.resilience.ratelimit import RateLimiter
from tidegauge.services.alertmanager import make_alertmanager, make_mutings
from tidegauge.services.api import Services
from tidegauge.services.asking import make_admission, make_engine
from tidegauge.services.dashboards import make_dashboards
from tidegauge.services.guards import Guard, answers, make_breaker
from tidegauge.services.parts import (
    QueueParts,
    StorageParts,
    Tools,
    make_log,
    make_tracing,
    open_shared_cache,
    open_storage_parts,
)
from tidegauge.services.people import make_people
from tidegauge.services.queue import open_queue
from tidegauge.services.result_cache import make_result_cache
from tidegauge.services.storing import make_writer
from tidegauge.storage.protocol import Catalogue, SampleEngine


def build_services(
    config: Config,
    *,
    log: FilteringBoundLogger | None = None,
    meters_folder: Path | None = None,
) -> Services:
    """Return the services on the database at `config.database.url`, started.

    To be called in the process that serves, after any fork: it starts threads.

    Args:
        config: the settings.
        log: where to log; JSON lines on standard error by default.
        meters_folder: where several API processes add up their instruments; then
            PROMETHEUS_MULTIPROC_DIR must have named it before this process began.
    """
    tools = Tools(log=log or make_log(config, "api"))
    adopt_module_loggers(tools.log)
    storage = open_storage_parts(config, tools, application_name="tidegauge api")
    services = assemble(
        config,
        storage=storage,
        tools=tools,
        meters=Meters(directory=meters_folder, queue_is_shared=bool(config.broker.url)),
    )
    services.start()
    return services


def assemble(config: Config, *, storage: StorageParts, tools: Tools, meters: Meters) -> Services:
    """Return the services over any storage, not started yet."""
    queue = open_queue(config, tools)
    publishing = make_breaker("ingestion", config, tools, meters, is_failure=is_publish_failure)
    asking = make_breaker("queries", config, tools, meters, is_failure=is_query_failure)
    drawing = make_breaker("dashboards", config, tools, meters, is_failure=is_dashboard_failure)
    cache = open_shared_cache(
        config, tools, max_connections=config.http.threads, on_error=meters.cache.failed
    )
    limiter = RateLimiter(
        config.cache, on_failure=meters.resilience.uncounted, monotonic=tools.monotonic
    )
    watch = WriteWatch()
    samples = WatchedSamples(storage.engine, watch)
    parser = QueryParser(max_depth=config.query.max_depth)
    admission = make_admission(
        config, tools, meters, max_waiting=_count_waiting(config), breaker=asking
    )
    running = RunningSamples(config.query)
    alerts = _make_alerts(storage, parser, tools)
    results = make_result_cache(config, tools, meters, cache, watch, admission)
    query = _make_query(config, tools, meters, samples, parser, admission, running, results)
    return Services(
        config=config,
        tools=tools,
        meters=meters,
        parser=parser,
        query=query,
        listings=Listings(
            catalogue=storage.catalogue, parser=parser, admission=admission, config=config.query
        ),
        raw=RawReads(samples=samples, admission=admission, running=running, config=config.query),
        queries=AllQueries(admission.running, board=cache if config.cache.url else None),
        annotations=_make_annotations(storage, alerts),
        alerts=alerts,
        silences=_make_silences(storage, tools),
        routing=_make_routing(storage),
        acknowledging=_make_acknowledging(storage, tools),
        backtests=BacktestService(
            query=query, parser=parser, config=config, monotonic=tools.monotonic
        ),
        maintenance=_make_maintenance(storage, tools),
        explainer=_make_explainer(storage, query, tools),
        alertmanager=make_alertmanager(config, tools, storage.alerts, alerts)
        if storage.alerts is not None and alerts is not None
        else None,
        ingest=_make_ingest(config, storage, queue, publishing, tools, meters),
        storage=storage,
        queue=queue,
        writer=_make_own_writer(config, queue, storage.catalogue, samples, tools, meters),
        cache=cache,
        tracing=make_tracing(config, tools, "api"),
        guards=_make_guards((asking, drawing), publishing, storage, queue),
        limiter=limiter,
        people=make_people(storage.people, config, tools, cache, limiter)
        if storage.people is not None
        else None,
        dashboards=make_dashboards(
            storage.dashboards, config, tools, cache=cache, parser=parser, breaker=drawing
        )
        if storage.dashboards is not None
        else None,
    )


def _make_query(
    config: Config,
    tools: Tools,
    meters: Meters,
    samples: WatchedSamples,
    parser: QueryParser,
    admission: Admission,
    running: RunningSamples,
    results: ResultCache,
) -> QueryService:
    return QueryService(
        samples=samples,
        engine=make_engine(config),
        parser=parser,
        admission=admission,
        running=running,
        config=config.query,
        meters=meters,
        monotonic=tools.monotonic,
        cache=results,
    )


def _make_ingest(
    config: Config,
    storage: StorageParts,
    queue: QueueParts,
    publishing: CircuitBreaker,
    tools: Tools,
    meters: Meters,
) -> IngestService:
    return IngestService(
        publisher=GuardedPublisher(queue.publisher, publishing),
        catalogue=storage.catalogue,
        config=config.ingest,
        confirm_timeout_s=queue.confirm_timeout_s,
        max_message_bytes=queue.max_message_bytes,
        meter=meters.ingest,
        monotonic=tools.monotonic,
    )


def _make_silences(storage: StorageParts, tools: Tools) -> SilenceService | None:
    if storage.alerts is None:
        return None
    return SilenceService(silences=storage.alerts.silences, clock_ms=tools.clock_ms)


def _make_routing(storage: StorageParts) -> RoutingService | None:
    return None if storage.alerts is None else RoutingService(routes=storage.alerts.routes)


def _make_acknowledging(storage: StorageParts, tools: Tools) -> AcknowledgeService | None:
    if storage.alerts is None:
        return None
    return AcknowledgeService(
        rules=storage.alerts.rules,
        acknowledgements=storage.alerts.acknowledgements,
        clock_ms=tools.clock_ms,
    )


def _make_maintenance(storage: StorageParts, tools: Tools) -> MaintenanceService | None:
    if storage.alerts is None:
        return None
    return MaintenanceService(windows=storage.alerts.windows, clock_ms=tools.clock_ms)


def _make_explainer(storage: StorageParts, query: QueryService, tools: Tools) -> Explainer | None:
    if storage.alerts is None:
        return None
    return Explainer(
        rules=storage.alerts.rules,
        ledger=storage.alerts.ledger,
        mutings=make_mutings(tools, storage.alerts),
        acknowledgements=storage.alerts.acknowledgements,
        read_routing=CurrentRouting(routes=storage.alerts.routes, log=tools.log).read,
        query=query,
        clock_ms=tools.clock_ms,
        monotonic=tools.monotonic,
    )


def _make_alerts(storage: StorageParts, parser: QueryParser, tools: Tools) -> AlertService | None:
    if storage.alerts is None:
        return None
    return AlertService(
        rules=storage.alerts.rules,
        recordings=storage.alerts.recordings,
        events=storage.alerts.events,
        acknowledgements=storage.alerts.acknowledgements,
        parser=parser,
        clock_ms=tools.clock_ms,
    )


def _make_annotations(storage: StorageParts, alerts: AlertService | None) -> AnnotationService:
    if alerts is None:
        return AnnotationService(store=storage.annotations)
    return AnnotationService(store=storage.annotations, list_alerts=partial(list_marks, alerts))


def _make_own_writer(
    config: Config,
    queue: QueueParts,
    catalogue: Catalogue,
    engine: SampleEngine,
    tools: Tools,
    meters: Meters,
) -> BatchWriter | None:
    """Return the writer of a queue inside this process; with RabbitMQ the workers have theirs."""
    if queue.drained is None:
        return None
    return make_writer(
        config,
        consumer=queue.drained,
        catalogue=catalogue,
        engine=engine,
        tools=tools,
        meters=meters,
        linger_ms=config.ingest.flush_ms,
    )


def _make_guards(
    reading: Sequence[CircuitBreaker],
    publishing: CircuitBreaker,
    storage: StorageParts,
    queue: QueueParts,
) -> tuple[Guard, ...]:
    def database_answers() -> bool:
        return answers(storage.ping)

    def queue_takes() -> bool:
        return queue.check().ready

    # What is published inside this process is confirmed by the database's commit.
    behind = database_answers if queue.drained is not None else queue_takes
    return (
        *(Guard(breaker, database_answers) for breaker in reading),
        Guard(publishing, behind),
    )


def _count_waiting(config: Config) -> int:
    """Return how many queries may wait: a quarter of the threads is for ingestion and probes."""
    threads = config.http.threads
    return max(1, threads - threads // 4 - config.query.max_concurrent)
