"""Samples and series in this process's memory: the storage of tests and of `promqltest`.

It keeps the same promises as the database engines, save durability, and is held to them by
the same contract suite. One lock guards everything.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from tidegauge.errors import DeadlineExceeded, LimitExceeded
from tidegauge.model.batch import MetricMetadata
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import METRIC_NAME, Labels, find_label
from tidegauge.model.matchers import Matcher
from tidegauge.storage.protocol import (
    MetricCardinality,
    MetricRow,
    ReadBudget,
    SeriesKey,
    StorageTotals,
    StoredBatch,
)

_SERIES_PER_CHECK = 1024

_Item = TypeVar("_Item")
_Columns = tuple[np.ndarray, np.ndarray]


class _Series:
    """One series: its labels and its samples, sorted lazily."""

    __slots__ = ("_arrived", "_sorted", "key", "labels", "last_seen_ms")

    def __init__(self, key: SeriesKey, labels: Labels, last_seen_ms: int) -> None:
        self.key, self.labels, self.last_seen_ms = key, labels, last_seen_ms
        self._sorted: _Columns = (np.zeros(0, np.int64), np.zeros(0, np.float64))
        self._arrived: list[_Columns] = []

    def add(self, times_ms: np.ndarray, values: np.ndarray) -> None:
        self._arrived.append((times_ms, values))

    def samples(self) -> _Columns:
        if self._arrived:
            parts = [self._sorted, *self._arrived]
            times_ms = np.concatenate([part[0] for part in parts])
            values = np.concatenate([part[1] for part in parts])
            # Stable: equal times stay in order of arrival, so that the last of a run wins.
            order = np.argsort(times_ms, kind="stable")
            times_ms = times_ms[order]
            last = np.append(times_ms[1:] != times_ms[:-1], True)
            self._sorted = (times_ms[last], values[order][last])
            self._arrived = []
        return self._sorted


class MemoryStorage:
    """A SampleEngine and a Catalogue over one store in memory; safe to use from many threads.

    Args:
        monotonic: the clock of deadlines, in seconds.
        clock_ms: the clock that says when a series was registered, in Unix ms.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._monotonic, self._clock_ms = monotonic, clock_ms
        self._lock = threading.RLock()
        self._messages: set[bytes] = set()
        self._by_labels: dict[Labels, _Series] = {}
        self._by_id: dict[int, _Series] = {}
        self._by_metric: dict[str, list[_Series]] = {}
        self._metric_ids: dict[str, int] = {}
        self._metadata: dict[str, MetricMetadata] = {}

    # The sample engine.

    def append(self, batch: StoredBatch) -> Sequence[bytes]:
        """Store the samples of the messages not stored before; return the ids that were new."""
        with self._lock:
            fresh = np.zeros(len(batch.message_ids), dtype=bool)
            for position, message_id in enumerate(batch.message_ids):
                if message_id not in self._messages:
                    self._messages.add(message_id)
                    fresh[position] = True
            wanted = np.flatnonzero(fresh[batch.message_index])
            order = wanted[np.argsort(batch.series_ids[wanted], kind="stable")]
            series_ids = batch.series_ids[order]
            times_ms, values = batch.times_ms[order], batch.values[order]
            starts = np.flatnonzero(np.append(True, series_ids[1:] != series_ids[:-1]))
            ends = np.append(starts[1:], len(order))
            if len(order):
                for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                    series = self._by_id[int(series_ids[start])]
                    series.add(times_ms[start:end], values[start:end])
            return [batch.message_ids[position] for position in np.flatnonzero(fresh).tolist()]

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, budget: ReadBudget
    ) -> SeriesFrame:
        """Return the samples with start_ms <= time <= end_ms of all series that match.

        Raises:
            LimitExceeded, DeadlineExceeded.
        """
        with self._lock:
            labels: list[Labels] = []
            times: list[np.ndarray] = []
            values: list[np.ndarray] = []
            total = 0
            for series in sorted(self._matching(matchers, budget), key=lambda one: one.labels):
                all_times_ms, all_values = series.samples()
                low = int(np.searchsorted(all_times_ms, start_ms, side="left"))
                high = max(low, int(np.searchsorted(all_times_ms, end_ms, side="right")))
                total += high - low
                if total > budget.max_samples:
                    raise LimitExceeded(
                        "samples",
                        reached=total,
                        allowed=budget.max_samples,
                        setting="TIDEGAUGE_QUERY_MAX_SAMPLES",
                    )
                if high > low:
                    labels.append(series.labels)
                    times.append(all_times_ms[low:high])
                    values.append(all_values[low:high])
        if not labels:
            return SeriesFrame.empty()
        offsets = np.concatenate(([0], np.cumsum([len(part) for part in times], dtype=np.int64)))
        return SeriesFrame(labels, offsets, np.concatenate(times), np.concatenate(values))

    # The catalogue.

    def find_series(self, label_sets: Sequence[Labels]) -> dict[Labels, SeriesKey]:
        """Return the ids of those label sets that are registered."""
        with self._lock:
            found = ((labels, self._by_labels.get(labels)) for labels in label_sets)
            return {labels: series.key for labels, series in found if series is not None}

    def register_series(self, label_sets: Sequence[Labels]) -> dict[Labels, SeriesKey]:
        """Return the ids of all these label sets, registering the new ones (and their metrics)."""
        with self._lock:
            now_ms = self._clock_ms()
            for labels in label_sets:
                if labels in self._by_labels:
                    continue
                metric = find_label(labels, METRIC_NAME)
                key = SeriesKey(len(self._by_id) + 1, self._register_metric(metric))
                series = _Series(key, labels, now_ms)
                self._by_labels[labels] = self._by_id[key.series_id] = series
                self._by_metric[metric].append(series)
            return {labels: self._by_labels[labels].key for labels in label_sets}

    def touch_series(self, series_ids: np.ndarray, seen_ms: int) -> None:
        """Note that these series (int32, shape (n,)) were written at about seen_ms."""
        with self._lock:
            for series_id in series_ids.tolist():
                series = self._by_id.get(series_id)
                if series is not None:
                    series.last_seen_ms = max(series.last_seen_ms, seen_ms)

    def store_metadata(self, metadata: Sequence[MetricMetadata]) -> None:
        """Keep type, unit and help of metrics; an empty field leaves what is known."""
        with self._lock:
            for said in metadata:
                self._register_metric(said.name)
                known = self._metadata.get(said.name, said)
                self._metadata[said.name] = dataclasses.replace(
                    known,
                    type=said.type or known.type,
                    unit=said.unit or known.unit,
                    help=said.help or known.help,
                )

    def read_cardinality(self, names: Sequence[str]) -> dict[str, MetricCardinality]:
        """Return the cardinality of each of these metrics; a metric without series has zero."""
        with self._lock:
            return {name: _cardinality(self._by_metric.get(name, [])) for name in names}

    def read_series_count(self) -> int:
        """Return how many series there are in all."""
        with self._lock:
            return len(self._by_id)

    def read_totals(self) -> StorageTotals:
        """Return how much there is; no bytes are counted."""
        with self._lock:
            return StorageTotals(len(self._by_id), len(self._metric_ids), 0)

    def list_series(
        self,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        end_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[Labels]:
        """Return the sorted label sets that match any selector and were written since start_ms."""
        with self._lock:
            found = {
                series.labels
                for matchers in selectors or [()]
                for series in self._matching(matchers, budget)
                if start_ms is None or series.last_seen_ms >= start_ms
            }
        _check_series(len(found), budget)
        return _cut(sorted(found), limit)

    def list_label_names(
        self,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        end_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[str]:
        """Return the sorted label names of such series."""
        series = self.list_series(selectors, start_ms, end_ms, limit=0, budget=budget)
        return _cut(sorted({name for labels in series for name, _ in labels}), limit)

    def list_label_values(
        self,
        name: str,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        end_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[str]:
        """Return the sorted values of one label among such series."""
        series = self.list_series(selectors, start_ms, end_ms, limit=0, budget=budget)
        return _cut(sorted({find_label(labels, name) for labels in series} - {""}), limit)

    def list_metrics(
        self, *, search: str, after: str, limit: int, budget: ReadBudget
    ) -> list[MetricRow]:
        """Return metrics sorted by name, from the first behind `after`; `search` is a substring."""
        with self._lock:
            self._check_deadline(budget)
            names = sorted(name for name in self._metric_ids if search in name and name > after)
            return [self._metric_row(name) for name in _cut(names, limit)]

    def read_metadata(self, metric: str, limit: int) -> Mapping[str, MetricMetadata]:
        """Return what is known of metrics by name; `metric` "" means all, limit 0 no limit."""
        with self._lock:
            names = [metric] if metric else sorted(self._metadata)
            known = [name for name in names if name in self._metadata]
            return {name: self._metadata[name] for name in _cut(known, limit)}

    def _register_metric(self, name: str) -> int:
        self._by_metric.setdefault(name, [])
        return self._metric_ids.setdefault(name, len(self._metric_ids) + 1)

    def _metric_row(self, name: str) -> MetricRow:
        series = self._by_metric[name]
        said = self._metadata.get(name, MetricMetadata(name))
        last_seen_ms = max((one.last_seen_ms for one in series), default=None)
        metric_id = self._metric_ids[name]
        return MetricRow(
            metric_id, name, said.type, said.unit, said.help, len(series), last_seen_ms
        )

    def _matching(self, matchers: Sequence[Matcher], budget: ReadBudget) -> Iterator[_Series]:
        self._check_deadline(budget)
        count = 0
        for position, series in enumerate(self._candidates(matchers)):
            if position % _SERIES_PER_CHECK == _SERIES_PER_CHECK - 1:
                self._check_deadline(budget)
            if not all(one.matches(find_label(series.labels, one.name)) for one in matchers):
                continue
            count += 1
            _check_series(count, budget)
            yield series

    def _candidates(self, matchers: Sequence[Matcher]) -> Iterator[_Series]:
        for matcher in matchers:
            names = matcher.alternatives() if matcher.name == METRIC_NAME else None
            if names is not None:
                for name in dict.fromkeys(names):
                    yield from self._by_metric.get(name, [])
                return
        yield from self._by_id.values()

    def _check_deadline(self, budget: ReadBudget) -> None:
        if budget.cancellation is not None:
            budget.cancellation.check()
        if self._monotonic() >= budget.deadline_s:
            raise DeadlineExceeded(
                "the query did not end in time and was cancelled;"
                " narrow it, or raise TIDEGAUGE_QUERY_TIMEOUT_SECONDS"
            )


def _cardinality(series: Sequence[_Series]) -> MetricCardinality:
    values: dict[str, set[str]] = {}
    for one in series:
        for name, value in one.labels:
            if name != METRIC_NAME:
                values.setdefault(name, set()).add(value)
    widest = min(values, key=lambda name: (-len(values[name]), name), default="")
    return MetricCardinality(len(series), widest, len(values.get(widest, ())))


def _cut(items: list[_Item], limit: int) -> list[_Item]:
    return items[:limit] if limit else items


def _check_series(count: int, budget: ReadBudget) -> None:
    if count > budget.max_series:
        raise LimitExceeded(
            "series",
            reached=count,
            allowed=budget.max_series,
            setting="TIDEGAUGE_QUERY_MAX_SERIES",
        )
