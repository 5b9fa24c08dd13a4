"""The settings of the parts around the product: queue, worker, cache, limits, breakers, traces."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.config.declare import setting


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """The queue between who accepts samples and who stores them."""

    url: str = setting(
        "RABBITMQ_URL",
        "",
        "RabbitMQ to use (`amqp://user:password@host:5672/vhost`); empty: a queue inside the API "
        "process, which answers after the commit.",
        secret=True,
    )
    queue_type: str = setting(
        "TIDEGAUGE_RABBITMQ_QUEUE_TYPE",
        "quorum",
        "Type of the queues in RabbitMQ.",
        choices=("quorum", "classic"),
    )
    queue_messages: int = setting(
        "TIDEGAUGE_RABBITMQ_QUEUE_MESSAGES",
        100_000,
        "Most messages in RabbitMQ's queue; over it the API answers 503.",
        low=1,
        high=100_000_000,
    )
    message_bytes: int = setting(
        "TIDEGAUGE_RABBITMQ_MESSAGE_BYTES",
        512 * 1024,
        "Largest message in RabbitMQ; a request that needs more goes in several. A worker holds "
        "TIDEGAUGE_RABBITMQ_PREFETCH of these.",
        low=16 * 1024,
        high=16 * 1024 * 1024,
    )
    message_ttl_s: int = setting(
        "TIDEGAUGE_RABBITMQ_MESSAGE_TTL_SECONDS",
        3600,
        "Age at which a message that no worker took becomes a dead letter.",
        low=1,
        high=30 * 86400,
    )
    dead_letter_ttl_s: int = setting(
        "TIDEGAUGE_RABBITMQ_DEAD_LETTER_TTL_SECONDS",
        7 * 86400,
        "How long dead letters are kept.",
        low=1,
        high=365 * 86400,
    )
    prefetch: int = setting(
        "TIDEGAUGE_RABBITMQ_PREFETCH",
        100,
        "Messages that one worker may hold.",
        low=1,
        high=10_000,
    )
    confirm_timeout_s: int = setting(
        "TIDEGAUGE_RABBITMQ_CONFIRM_TIMEOUT_SECONDS",
        5,
        "How long a request waits for RabbitMQ's confirmation, reconnection included, before 503.",
        low=1,
        high=300,
    )
    settle_s: int = setting(
        "TIDEGAUGE_RABBITMQ_SETTLE_SECONDS",
        10,
        "Age at which a new quorum queue in RabbitMQ takes messages; until then the API answers "
        "503. A RabbitMQ that is killed may not find a younger one again.",
        low=0,
        high=600,
    )
    connect_timeout_s: int = setting(
        "TIDEGAUGE_RABBITMQ_CONNECT_TIMEOUT_SECONDS",
        5,
        "Wait for a new connection to RabbitMQ.",
        low=1,
        high=60,
    )
    heartbeat_s: int = setting(
        "TIDEGAUGE_RABBITMQ_HEARTBEAT_SECONDS",
        10,
        "Silence after which a connection to RabbitMQ counts as lost, about twice over.",
        low=2,
        high=600,
    )


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The worker that moves messages from RabbitMQ into the database."""

    flush_ms: int = setting(
        "TIDEGAUGE_WORKER_FLUSH_MS",
        100,
        "How long a worker gathers before it writes, unless TIDEGAUGE_FLUSH_POINTS are there.",
        low=0,
        high=10_000,
    )
    host: str = setting(
        "TIDEGAUGE_WORKER_HOST", "127.0.0.1", "Address of a worker's own health and metrics."
    )
    port: int = setting(
        "TIDEGAUGE_WORKER_PORT",
        0,
        "Port of a worker's own /health and /metrics; 0: it has none.",
        low=0,
        high=65535,
    )
    count: int = setting(
        "TIDEGAUGE_WORKERS",
        1,
        "Workers that `tidegauge up` starts when RABBITMQ_URL is set.",
        low=1,
        high=64,
    )


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """The evaluator of alert rules, and the alerts of others."""

    interval_s: int = setting(
        "TIDEGAUGE_ALERTS_INTERVAL_SECONDS",
        10,
        "How often a rule is evaluated that does not say it itself.",
        low=1,
        high=86_400,
    )
    query_timeout_ms: int = setting(
        "TIDEGAUGE_ALERTS_QUERY_TIMEOUT_MS",
        4000,
        "Longest query of a rule; so long one that is slow takes a place of "
        "TIDEGAUGE_ALERTS_QUERY_THREADS.",
        low=100,
        high=5000,
    )
    backtest_timeout_s: int = setting(
        "TIDEGAUGE_BACKTEST_TIMEOUT_SECONDS", 60, "Longest backtest.", low=1, high=3600
    )
    backtest_steps: int = setting(
        "TIDEGAUGE_BACKTEST_STEPS",
        100_000,
        "Evaluations of one backtest; over a longer range the rule is evaluated less often.",
        low=10,
        high=10_000_000,
    )
    query_threads: int = setting(
        "TIDEGAUGE_ALERTS_QUERY_THREADS",
        4,
        "Rules that an evaluator asks side by side; each holds a database connection meanwhile.",
        low=1,
        high=64,
    )
    series: str = setting(
        "TIDEGAUGE_ALERTS_SERIES",
        "on",
        "Whether pending and firing alerts are series, too: `ALERTS`, `ALERTS_FOR_STATE`.",
        choices=("on", "off"),
    )
    rules_dir: str = setting(
        "TIDEGAUGE_RULES_DIR",
        "",
        "Folder of Prometheus's rule files (`*.yml`, `*.yaml`) that the evaluator loads at start "
        "and on change; empty: none.",
    )
    rules_scan_s: int = setting(
        "TIDEGAUGE_RULES_SCAN_SECONDS",
        10,
        "How often that folder is looked at.",
        low=1,
        high=3600,
    )
    shipped_rules: str = setting(
        "TIDEGAUGE_SHIPPED_RULES",
        "on",
        "Alert rules about Tidegauge itself, loaded by the evaluator. off: there are none, as with "
        "TIDEGAUGE_OWN_METRICS_SECONDS=0, since they ask for those.",
        choices=("on", "off"),
    )
    shipped_rules_off: str = setting(
        "TIDEGAUGE_SHIPPED_RULES_OFF",
        "",
        "Names of shipped rules that are not wanted, with commas between.",
    )
    runbooks_url: str = setting(
        "TIDEGAUGE_RUNBOOKS_URL",
        "docs/runbooks/",
        "What the addresses of their runbooks begin with: where you keep these pages for reading.",
    )
    resolve_timeout_s: int = setting(
        "TIDEGAUGE_ALERTS_RESOLVE_TIMEOUT_SECONDS",
        300,
        "An alert posted to /alertmanager without an end of its own is over after so long, unless "
        "it is posted again.",
        low=10,
        high=86_400,
    )
    posted_max: int = setting(
        "TIDEGAUGE_ALERTS_POSTED_MAX",
        10_000,
        "Most alerts posted to /alertmanager that are kept at once.",
        low=1,
        high=1_000_000,
    )
    keep_days: int = setting(
        "TIDEGAUGE_ALERTS_KEEP_DAYS",
        365,
        "How long the history of alerts, who was told of them and who took them on is kept.",
        low=1,
        high=36_500,
    )
    host: str = setting(
        "TIDEGAUGE_EVALUATOR_HOST", "127.0.0.1", "Address of an evaluator's own health and metrics."
    )
    port: int = setting(
        "TIDEGAUGE_EVALUATOR_PORT",
        0,
        "Port of an evaluator's own /health and /metrics; 0: it has none.",
        low=0,
        high=65535,
    )


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """Answers that are kept for a while, and the Redis that keeps them."""

    url: str = setting(
        "REDIS_URL",
        "",
        "Redis to use (`redis://:password@host:6379/0`); empty: a cache inside each process.",
        secret=True,
    )
    timeout_ms: int = setting(
        "TIDEGAUGE_REDIS_TIMEOUT_MS",
        250,
        "Longest wait for Redis, connecting included; after it the work is done without.",
        low=1,
        high=10_000,
    )
    max_bytes: int = setting(
        "TIDEGAUGE_CACHE_BYTES",
        64 * 1024 * 1024,
        "Most bytes that the cache inside a process holds.",
        low=0,
        high=64 * 1024 * 1024 * 1024,
    )
    max_result_bytes: int = setting(
        "TIDEGAUGE_CACHE_RESULT_BYTES",
        4 * 1024 * 1024,
        "Largest query result that is kept; 0 keeps none.",
        low=0,
        high=512 * 1024 * 1024,
    )
    recent_s: int = setting(
        "TIDEGAUGE_CACHE_RECENT_SECONDS",
        10,
        "How long a result is kept whose range touches the last minutes.",
        low=1,
        high=3600,
    )
    past_s: int = setting(
        "TIDEGAUGE_CACHE_PAST_SECONDS",
        300,
        "How long a result is kept whose range lies wholly in the past.",
        low=1,
        high=86_400,
    )


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """How many requests a minute one sender may make; programs on this machine are not limited."""

    ingest_per_minute: int = setting(
        "TIDEGAUGE_RATE_INGEST_PER_MINUTE",
        10_000,
        "Ingestion requests a minute from one address.",
        low=1,
        high=100_000_000,
    )
    query_per_minute: int = setting(
        "TIDEGAUGE_RATE_QUERY_PER_MINUTE",
        100,
        "Queries a minute of one person, or of one address that names nobody.",
        low=1,
        high=100_000_000,
    )
    token_query_per_minute: int = setting(
        "TIDEGAUGE_RATE_TOKEN_QUERY_PER_MINUTE",
        6000,
        "Queries a minute with one access token: one Grafana serves many people.",
        low=1,
        high=100_000_000,
    )


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """When work on a failing neighbour is refused at once instead of tried."""

    timeout_s: int = setting(
        "TIDEGAUGE_BREAKER_TIMEOUT_SECONDS",
        10,
        "Work that takes longer counts as failed.",
        low=1,
        high=3600,
    )
    error_percent: int = setting(
        "TIDEGAUGE_BREAKER_ERROR_PERCENT",
        40,
        "Share of failures in the window at which a breaker opens.",
        low=1,
        high=100,
    )
    window_s: int = setting(
        "TIDEGAUGE_BREAKER_WINDOW_SECONDS", 10, "The rolling window.", low=1, high=3600
    )
    volume: int = setting(
        "TIDEGAUGE_BREAKER_VOLUME",
        10,
        "Calls in the window below which a breaker stays closed.",
        low=1,
        high=1_000_000,
    )
    reset_s: int = setting(
        "TIDEGAUGE_BREAKER_RESET_SECONDS",
        60,
        "How long an open breaker refuses before it lets one call through; the return of what was "
        "away ends it earlier.",
        low=1,
        high=3600,
    )


@dataclass(frozen=True, slots=True)
class TraceConfig:
    """Spans and figures about Tidegauge itself."""

    exporter: str = setting(
        "TIDEGAUGE_TRACE",
        "none",
        "Where OpenTelemetry spans go.",
        choices=("none", "console", "otlp"),
    )
    otlp_endpoint: str = setting(
        "TIDEGAUGE_TRACE_OTLP_ENDPOINT",
        "http://127.0.0.1:4318/v1/traces",
        "Address for spans by OTLP over HTTP.",
    )
    sample_percent: int = setting(
        "TIDEGAUGE_TRACE_SAMPLE_PERCENT", 100, "Share of requests that are traced.", low=0, high=100
    )
    own_metrics_s: int = setting(
        "TIDEGAUGE_OWN_METRICS_SECONDS",
        15,
        "How often each process stores its own metrics in Tidegauge; 0: never.",
        low=0,
        high=3600,
    )
