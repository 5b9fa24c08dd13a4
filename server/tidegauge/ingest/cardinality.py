"""The cardinality guard: a new series is admitted within limits, an existing one always.

Counts are read from the catalogue and believed for a short while; what this process has admitted
and the catalogue does not count yet is counted here, so that a storm cannot overshoot. While the
database is away everything passes: data first, order later.
Source: SPEC §2.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from tidegauge.ingest.label_rules import shown
from tidegauge.model.labels import METRIC_NAME, Labels, find_label
from tidegauge.storage.protocol import Catalogue, MetricCardinality

BELIEVED_S = 5.0
# What was admitted this long ago and is not registered has got lost on the way.
FORGOTTEN_S = 60.0
_METRICS_REMEMBERED = 20_000


class Road(Enum):
    """The way that a series came, which decides its limit."""

    JSON = "the JSON API"
    PROMETHEUS = "Prometheus protocols"


_SETTINGS = {
    Road.JSON: "TIDEGAUGE_SERIES_PER_METRIC_JSON",
    Road.PROMETHEUS: "TIDEGAUGE_SERIES_PER_METRIC_PROMETHEUS",
}


@dataclass(frozen=True, slots=True)
class CardinalityLimits:
    """Most series of one metric by each road, and most series in all."""

    per_metric_json: int
    per_metric_prometheus: int
    total: int

    def of(self, road: Road) -> int:
        """Return the limit per metric of a road."""
        return self.per_metric_json if road is Road.JSON else self.per_metric_prometheus


@dataclass(slots=True)
class _Counted:
    """A metric's cardinality as read, and the series admitted here that it may not contain."""

    cardinality: MetricCardinality
    read_at_s: float
    admitted: dict[Labels, float] = field(default_factory=dict)

    def series(self) -> int:
        return self.cardinality.series + len(self.admitted)


class CardinalityGuard:
    """Admits new series; safe from any number of threads.

    Args:
        catalogue: where series are counted.
        limits: how many may be.
        monotonic: seconds.
    """

    def __init__(
        self, *, catalogue: Catalogue, limits: CardinalityLimits, monotonic: Callable[[], float]
    ) -> None:
        self._catalogue, self._limits, self._monotonic = catalogue, limits, monotonic
        self._lock = threading.Lock()
        self._metrics: dict[str, _Counted] = {}
        self._total, self._total_read_at_s = 0, float("-inf")

    def admit(self, label_sets: Sequence[Labels], road: Road) -> dict[Labels, str]:
        """Admit those of these new series for which there is room.

        Returns:
            The refused ones, each with the reason.
        Raises:
            Unavailable: nobody can say how many there are.
        """
        with self._lock:
            now_s = self._monotonic()
            self._refresh({find_label(labels, METRIC_NAME) for labels in label_sets}, now_s)
            refused: dict[Labels, str] = {}
            # Once a metric is full it stays so in this call; its reason is worked out once.
            reasons: dict[str, str] = {}
            for labels in label_sets:
                name = find_label(labels, METRIC_NAME)
                counted = self._metrics[name]
                if labels in counted.admitted:
                    continue
                if not reasons.get(name):
                    reasons[name] = self._find_reason(name, counted, road)
                if reasons[name]:
                    refused[labels] = reasons[name]
                else:
                    counted.admitted[labels] = now_s
                    self._total += 1
            return refused

    def _find_reason(self, name: str, counted: _Counted, road: Road) -> str:
        limit, series = self._limits.of(road), counted.series()
        if series >= limit:
            what = f"metric {shown(name)} has {series} series, the limit through {road.value} is"
            setting = _SETTINGS[road]
        elif self._total >= self._limits.total:
            what = f"metric {shown(name)}: there are {self._total} series in all, the limit is"
            limit, setting = self._limits.total, "TIDEGAUGE_SERIES_TOTAL"
        else:
            return ""
        key, distinct = _widest(counted)
        widest = f"; tag key {shown(key)} has the most distinct values: {distinct}" if key else ""
        return f"{what} {limit}{widest}; send fewer tag combinations, or raise {setting}"

    def _refresh(self, names: Iterable[str], now_s: float) -> None:
        if now_s - self._total_read_at_s >= BELIEVED_S:
            self._refresh_total(now_s)
        if len(self._metrics) > _METRICS_REMEMBERED:
            self._forget_idle(now_s)
        stale = [name for name in sorted(names) if not self._is_believed(name, now_s)]
        if not stale:
            return
        waiting = self._still_waiting(stale, now_s)
        counts = self._catalogue.read_cardinality(stale)
        for name in stale:
            self._metrics[name] = _Counted(counts[name], now_s, waiting.get(name, {}))

    def _is_believed(self, name: str, now_s: float) -> bool:
        counted = self._metrics.get(name)
        return counted is not None and now_s - counted.read_at_s < BELIEVED_S

    def _still_waiting(self, names: list[str], now_s: float) -> dict[str, dict[Labels, float]]:
        # Asked before the counts are read: a series registered in between is counted twice for
        # a moment, which is strict; the other order would not count it at all.
        recent = {
            labels: admitted_s
            for name in names
            if name in self._metrics
            for labels, admitted_s in self._metrics[name].admitted.items()
            if now_s - admitted_s < FORGOTTEN_S
        }
        registered = self._catalogue.find_series(list(recent)) if recent else {}
        waiting: dict[str, dict[Labels, float]] = {}
        for labels, admitted_s in recent.items():
            if labels not in registered:
                waiting.setdefault(find_label(labels, METRIC_NAME), {})[labels] = admitted_s
        return waiting

    def _refresh_total(self, now_s: float) -> None:
        # The count in all is an estimate anyway: what was admitted a moment ago, and is perhaps
        # not counted yet, is added for as long as it is remembered.
        young = sum(
            admitted_s > self._total_read_at_s
            for counted in self._metrics.values()
            for admitted_s in counted.admitted.values()
        )
        self._total = self._catalogue.read_series_count() + young
        self._total_read_at_s = now_s

    def _forget_idle(self, now_s: float) -> None:
        self._metrics = {
            name: counted
            for name, counted in self._metrics.items()
            if counted.admitted and now_s - counted.read_at_s < FORGOTTEN_S
        }


def _widest(counted: _Counted) -> tuple[str, int]:
    """Return the tag key with the most distinct values, of series registered and admitted."""
    key, distinct = counted.cardinality.widest_key, counted.cardinality.widest_key_values
    values: dict[str, set[str]] = {}
    for labels in counted.admitted:
        for name, value in labels:
            if name != METRIC_NAME:
                values.setdefault(name, set()).add(value)
    for name, seen in sorted(values.items()):
        if len(seen) > distinct:
            key, distinct = name, len(seen)
    return key, distinct
