"""The settings: one frozen tree, read once from the environment, all faults reported together.

Every leaf is declared once, with its variable, default, bounds and help text; `cli.settings_page`
makes the reference page in `docs/` from the same declarations. Nothing else reads the environment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tidegauge.errors import ConfigError

PREFIX = "TIDEGAUGE_"
_STARS = "********"


def setting(
    env: str,
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """Declare one setting: its variable, default, bounds (inclusive) or choices, and meaning."""
    declared = {"env": env, "help": help, "low": low, "high": high}
    return field(default=default, metadata={**declared, "choices": choices, "secret": secret})


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
        "TIDEGAUGE_DB_POOL_SIZE", 16, "Connections of one process.", low=2, high=500
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


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    http: HttpConfig = field(default_factory=HttpConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    ingest: IngestConfig = field(default_factory=IngestConfig)
    query: QueryConfig = field(default_factory=QueryConfig)
    log: LogConfig = field(default_factory=LogConfig)


SECTIONS: dict[str, type[Any]] = {
    "http": HttpConfig,
    "database": DatabaseConfig,
    "ingest": IngestConfig,
    "query": QueryConfig,
    "log": LogConfig,
}


def leaves() -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Yield every setting as (section, field), in the order of the tree."""
    for name, section in SECTIONS.items():
        for leaf in dataclasses.fields(section):
            yield name, leaf


def load_config(env: Mapping[str, str]) -> Config:
    """Return the settings that this environment asks for.

    Args:
        env: the environment; a secret `X` may also come as `X_FILE`, the path of a file.
    Raises:
        ConfigError: names every fault there is, unknown `TIDEGAUGE_*` variables among them.
    """
    faults: list[str] = []
    known: set[str] = set()
    sections: dict[str, dict[str, Any]] = {}
    for section, leaf in leaves():
        known |= {leaf.metadata["env"]} | (
            {leaf.metadata["env"] + "_FILE"} if leaf.metadata["secret"] else set()
        )
        text = _read_text(leaf, env, faults)
        if text is not None:
            value = _parse(leaf, text, faults)
            sections.setdefault(section, {})[leaf.name] = value
    unknown = sorted(name for name in env if name.startswith(PREFIX) and name not in known)
    faults += [f"{name}: there is no such setting" for name in unknown]
    if faults:
        raise ConfigError("settings are wrong:\n" + "\n".join(f"  {fault}" for fault in faults))
    made = {name: section(**sections.get(name, {})) for name, section in SECTIONS.items()}
    return Config(**made)


def mask_secret(value: str) -> str:
    """Return a secret as it may be shown: an address without its password, else only stars."""
    if not value:
        return value
    try:
        parts = urlsplit(value)
    except ValueError:
        return _STARS
    # An @ behind the host's part stems from a password with a bare `/`, `?` or `#`.
    if "://" not in value or "@" in parts.path + parts.query + parts.fragment:
        return _STARS
    user, at, place = parts.netloc.rpartition("@")
    if ":" in user:
        user = f"{user.partition(':')[0]}:{_STARS}"
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    shown = [(key, _STARS if "password" in key.lower() else text) for key, text in pairs]
    return urlunsplit(
        parts._replace(netloc=f"{user}{at}{place}", query=urlencode(shown, safe="*/"))
    )


def show_settings(config: Config) -> Iterator[str]:
    """Yield `NAME=value` for every setting in force, secrets masked; defaults are marked."""
    for section, leaf in leaves():
        value = getattr(getattr(config, section), leaf.name)
        shown = mask_secret(value) if leaf.metadata["secret"] else value
        yield f"{leaf.metadata['env']}={shown}" + ("  # default" if value == leaf.default else "")


def _read_text(
    leaf: dataclasses.Field[Any], env: Mapping[str, str], faults: list[str]
) -> str | None:
    name = leaf.metadata["env"]
    path = env.get(name + "_FILE") if leaf.metadata["secret"] else None
    if path is None:
        return env.get(name)
    if name in env:
        faults.append(f"{name} and {name}_FILE are both set; keep one")
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        faults.append(f"{name}_FILE: cannot read {path!r}: {exc}")
        return None


def _parse(leaf: dataclasses.Field[Any], text: str, faults: list[str]) -> Any:
    name, default = leaf.metadata["env"], leaf.default
    if isinstance(default, int):
        try:
            value = int(text)
        except ValueError:
            faults.append(f"{name}={text!r}: a whole number is wanted")
            return default
        low, high = leaf.metadata["low"], leaf.metadata["high"]
        if not low <= value <= high:
            faults.append(f"{name}={value}: must lie between {low} and {high}")
        return value
    choices = leaf.metadata["choices"]
    if choices and text not in choices:
        faults.append(f"{name}={text!r}: must be one of {', '.join(choices)}")
    return text
