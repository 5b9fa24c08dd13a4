"""The settings of what the product does: HTTP, database, ingestion, queries, dashboards, logs."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.config.declare import setting


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Where and how the API listens."""

    host: str = setting("TIDEGAUGE_HOST", "127.0.0.1", "Address to listen on.")
    port: int = setting("TIDEGAUGE_PORT", 3001, "Port to listen on.", low=0, high=65535)
    workers: int = setting("TIDEGAUGE_HTTP_WORKERS", 1, "API processes.", low=1, high=256)
    threads: int = setting(
        "TIDEGAUGE_HTTP_THREADS",
        32,
        "Threads of one API process: requests at once. Queries, running and waiting, get three "
        "quarters of them.",
        low=1,
        high=1024,
    )
    shutdown_s: int = setting(
        "TIDEGAUGE_SHUTDOWN_SECONDS",
        20,
        "Time that running requests get at a stop.",
        low=1,
        high=600,
    )


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """The PostgreSQL that holds everything."""

    url: str = setting(
        "DATABASE_URL",
        "",
        "PostgreSQL to use; empty: one of its own under the data directory.",
        secret=True,
    )
    data_dir: str = setting(
        "TIDEGAUGE_DATA_DIR", "./data", "Where `tidegauge up` keeps its own PostgreSQL."
    )
    engine: str = setting(
        "TIDEGAUGE_ENGINE", "auto", "Sample engine.", choices=("auto", "columnar")
    )
    pool_size: int = setting(
        "TIDEGAUGE_DB_POOL_SIZE",
        16,
        "Connections of one process; an evaluator has 6 more than it asks queries side by side, at "
        "least.",
        low=2,
        high=500,
    )
    connect_timeout_s: int = setting(
        "TIDEGAUGE_DB_CONNECT_TIMEOUT_SECONDS", 5, "Wait for a new connection.", low=1, high=60
    )
    statement_timeout_s: int = setting(
        "TIDEGAUGE_DB_STATEMENT_TIMEOUT_SECONDS",
        30,
        "Longest statement outside queries, which have their own limit.",
        low=1,
        high=3600,
    )
    arrivals_partition_s: int = setting(
        "TIDEGAUGE_ARRIVALS_PARTITION_SECONDS",
        3600,
        "Span of arrival time that one partition of fresh samples covers.",
        low=60,
        high=86400,
    )


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """What may come in."""

    max_body_bytes: int = setting(
        "TIDEGAUGE_INGEST_MAX_BODY_BYTES",
        10 * 1024 * 1024,
        "Largest request body, compressed and after decompression.",
        low=1024,
        high=1024 * 1024 * 1024,
    )
    max_past_s: int = setting(
        "TIDEGAUGE_INGEST_MAX_PAST_SECONDS",
        365 * 86400,
        "How old a sample may be.",
        low=60,
        high=365 * 86400,
    )
    max_future_s: int = setting(
        "TIDEGAUGE_INGEST_MAX_FUTURE_SECONDS",
        300,
        "How far ahead a sample may be.",
        low=0,
        high=300,
    )
    max_label_value_bytes: int = setting(
        "TIDEGAUGE_LABEL_VALUE_MAX_BYTES",
        4096,
        "Longest label value through Prometheus protocols.",
        low=64,
        high=65536,
    )
    max_labels: int = setting(
        "TIDEGAUGE_LABELS_PER_SERIES", 64, "Most labels of one series.", low=1, high=1024
    )
    series_per_metric_json: int = setting(
        "TIDEGAUGE_SERIES_PER_METRIC_JSON",
        100,
        "Most tag combinations of one metric through the JSON API.",
        low=1,
        high=100_000_000,
    )
    series_per_metric_prometheus: int = setting(
        "TIDEGAUGE_SERIES_PER_METRIC_PROMETHEUS",
        10_000,
        "Most tag combinations of one metric through Prometheus protocols.",
        low=1,
        high=100_000_000,
    )
    series_total: int = setting(
        "TIDEGAUGE_SERIES_TOTAL", 2_000_000, "Most series in all.", low=1, high=1_000_000_000
    )
    registry_series: int = setting(
        "TIDEGAUGE_REGISTRY_SERIES",
        250_000,
        "Series whose wire form each API process remembers, twice over at most.",
        low=1000,
        high=100_000_000,
    )
    queue_messages: int = setting(
        "TIDEGAUGE_QUEUE_MESSAGES",
        10_000,
        "Most messages waiting in the in-process queue; over it the API answers 503.",
        low=1,
        high=10_000_000,
    )
    queue_bytes: int = setting(
        "TIDEGAUGE_QUEUE_BYTES",
        128 * 1024 * 1024,
        "Most bytes waiting in the in-process queue; over it the API answers 503.",
        low=1024 * 1024,
        high=64 * 1024 * 1024 * 1024,
    )
    confirm_timeout_s: int = setting(
        "TIDEGAUGE_CONFIRM_TIMEOUT_SECONDS",
        15,
        "How long a request waits until its samples are durable, before 503.",
        low=1,
        high=300,
    )
    flush_points: int = setting(
        "TIDEGAUGE_FLUSH_POINTS",
        1000,
        "Samples that start a write at once.",
        low=1,
        high=1_000_000,
    )
    flush_ms: int = setting(
        "TIDEGAUGE_FLUSH_MS",
        0,
        "How long the in-process writer gathers before it writes.",
        low=0,
        high=10_000,
    )


@dataclass(frozen=True, slots=True)
class QueryConfig:
    """What a query may cost, and how PromQL behaves."""

    max_samples: int = setting(
        "TIDEGAUGE_QUERY_MAX_SAMPLES",
        20_000_000,
        "Samples one query may read, some 60 bytes of memory each; as many points may a vector "
        "on the way to the answer have.",
        low=1000,
        high=10_000_000_000,
    )
    max_samples_running: int = setting(
        "TIDEGAUGE_QUERY_MAX_SAMPLES_RUNNING",
        40_000_000,
        "Samples that the running queries of one process may hold together; one that would "
        "go over it gets 503. Never below what one query may read.",
        low=1000,
        high=100_000_000_000,
    )
    max_series: int = setting(
        "TIDEGAUGE_QUERY_MAX_SERIES",
        100_000,
        "Series one query may touch.",
        low=1,
        high=10_000_000,
    )
    max_points: int = setting(
        "TIDEGAUGE_QUERY_MAX_POINTS",
        11_000,
        "Points per series of a range query.",
        low=1,
        high=1_000_000,
    )
    max_result_points: int = setting(
        "TIDEGAUGE_QUERY_MAX_RESULT_POINTS",
        5_000_000,
        "Points, all series together, that one answer may hold.",
        low=1000,
        high=1_000_000_000,
    )
    timeout_s: int = setting(
        "TIDEGAUGE_QUERY_TIMEOUT_SECONDS", 10, "Longest query.", low=1, high=3600
    )
    max_depth: int = setting(
        "TIDEGAUGE_QUERY_MAX_DEPTH", 100, "Nesting of one expression.", low=10, high=400
    )
    max_concurrent: int = setting(
        "TIDEGAUGE_QUERY_MAX_CONCURRENT",
        8,
        "Queries evaluated at once in one process; more of them wait.",
        low=1,
        high=1000,
    )
    lookback_s: int = setting(
        "TIDEGAUGE_QUERY_LOOKBACK_SECONDS",
        300,
        "Lookback of instant selectors.",
        low=1,
        high=86400,
    )
    subquery_step_s: int = setting(
        "TIDEGAUGE_QUERY_SUBQUERY_STEP_SECONDS",
        60,
        "Step of a subquery that names none.",
        low=1,
        high=86400,
    )


@dataclass(frozen=True, slots=True)
class DashboardsConfig:
    """How many dashboards there may be, and how large."""

    max_bytes: int = setting(
        "TIDEGAUGE_DASHBOARD_MAX_BYTES",
        1024 * 1024,
        "Largest dashboard, as JSON.",
        low=10_000,
        high=64 * 1024 * 1024,
    )
    max_panels: int = setting(
        "TIDEGAUGE_DASHBOARD_MAX_PANELS", 500, "Panels of one dashboard.", low=1, high=10_000
    )
    total: int = setting(
        "TIDEGAUGE_DASHBOARDS_TOTAL", 10_000, "Most dashboards in all.", low=1, high=1_000_000
    )
    versions_kept: int = setting(
        "TIDEGAUGE_DASHBOARD_VERSIONS_KEPT",
        200,
        "Versions of one dashboard that are kept; older ones go with the next save.",
        low=1,
        high=100_000,
    )
    cache_s: int = setting(
        "TIDEGAUGE_DASHBOARD_CACHE_SECONDS",
        30,
        "How long a dashboard that was read stays in the cache; 0: none does. A read shows the "
        "newest version in either case.",
        low=0,
        high=86400,
    )
    folder: str = setting(
        "TIDEGAUGE_DASHBOARDS_DIR",
        "",
        "Folder of Grafana dashboards (JSON) that are loaded at start and on change; empty: none.",
    )
    scan_s: int = setting(
        "TIDEGAUGE_DASHBOARDS_SCAN_SECONDS",
        10,
        "How often that folder is looked at.",
        low=1,
        high=3600,
    )
    datasource_uid: str = setting(
        "TIDEGAUGE_GRAFANA_DATASOURCE_UID",
        "tidegauge_prom",
        "Uid of Grafana's Prometheus data source on Tidegauge, for panels made here and for "
        "shared dashboards that ask for one.",
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is logged."""

    level: str = setting(
        "TIDEGAUGE_LOG_LEVEL",
        "info",
        "Lowest level logged.",
        choices=("debug", "info", "warning", "error"),
    )
    slow_query_ms: int = setting(
        "TIDEGAUGE_LOG_SLOW_QUERY_MS",
        2000,
        "Queries longer than this are logged as warnings.",
        low=1,
        high=3_600_000,
    )
