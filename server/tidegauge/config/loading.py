"""The tree of all settings, and how it is read from an environment, all faults together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tidegauge.config.access import AccessConfig
from tidegauge.config.notify import NotifyConfig
from tidegauge.config.pipeline import (
    AlertsConfig,
    BreakerConfig,
    BrokerConfig,
    CacheConfig,
    LimitsConfig,
    TraceConfig,
    WorkerConfig,
)
from tidegauge.config.product import (
    DashboardsConfig,
    DatabaseConfig,
    HttpConfig,
    IngestConfig,
    LogConfig,
    QueryConfig,
)
from tidegauge.errors import ConfigError

PREFIX = "TIDEGAUGE_"
_STARS = "********"


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    http: HttpConfig = field(default_factory=HttpConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    ingest: IngestConfig = field(default_factory=IngestConfig)
    query: QueryConfig = field(default_factory=QueryConfig)
    dashboards: DashboardsConfig = field(default_factory=DashboardsConfig)
    log: LogConfig = field(default_factory=LogConfig)
    broker: BrokerConfig = field(default_factory=BrokerConfig)
    worker: WorkerConfig = field(default_factory=WorkerConfig)
    alerts: AlertsConfig = field(default_factory=AlertsConfig)
    cache: CacheConfig = field(default_factory=CacheConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    breaker: BreakerConfig = field(default_factory=BreakerConfig)
    access: AccessConfig = field(default_factory=AccessConfig)
    notify: NotifyConfig = field(default_factory=NotifyConfig)
    trace: TraceConfig = field(default_factory=TraceConfig)


SECTIONS: dict[str, type[Any]] = {
    "http": HttpConfig,
    "database": DatabaseConfig,
    "ingest": IngestConfig,
    "query": QueryConfig,
    "dashboards": DashboardsConfig,
    "log": LogConfig,
    "broker": BrokerConfig,
    "worker": WorkerConfig,
    "alerts": AlertsConfig,
    "cache": CacheConfig,
    "limits": LimitsConfig,
    "breaker": BreakerConfig,
    "access": AccessConfig,
    "notify": NotifyConfig,
    "trace": TraceConfig,
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
    check = leaf.metadata["check"]
    if check is not None:
        try:
            check(text)
        except ValueError as exc:
            faults.append(f"{name}: {exc}")
    return text
