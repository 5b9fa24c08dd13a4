"""What recording rules gave lately, added to what storage has.

So a rule sees what an earlier one of its group gave at once, however long that is on its way
through the queue.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from tidegauge.alerts.results import Samples
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import METRIC_NAME, Labels, find_label
from tidegauge.model.matchers import Matcher
from tidegauge.storage.columnar_frame import order_samples
from tidegauge.storage.protocol import ReadBudget, SampleEngine, StoredBatch

EVALUATIONS_KEPT = 2


class RecentSamples:
    """A SampleEngine with the last results of each recording rule; safe to use from many threads.

    Args:
        engine: where the other samples are.
    """

    def __init__(self, engine: SampleEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[str, deque[Samples]]] = {}

    def add(self, rule_id: int, metric: str, samples: Samples) -> None:
        """Keep what a rule has given, in place of what it gave long before."""
        with self._lock:
            name, kept = self._kept.get(rule_id, (metric, None))
            if kept is None or name != metric:
                kept = deque(maxlen=EVALUATIONS_KEPT)
                self._kept[rule_id] = (metric, kept)
            kept.append(samples)

    def drop(self, rule_ids: Iterable[int]) -> None:
        """Keep nothing of rules that are gone."""
        with self._lock:
            for rule_id in rule_ids:
                self._kept.pop(rule_id, None)

    def forget(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept = {}

    def append(self, batch: StoredBatch) -> Sequence[bytes]:
        """See `SampleEngine`."""
        return self._engine.append(batch)

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, budget: ReadBudget
    ) -> SeriesFrame:
        """See `SampleEngine`."""
        stored = self._engine.select(matchers, start_ms, end_ms, budget)
        recent = self._find(matchers, start_ms, end_ms)
        return _add(stored, recent) if recent else stored

    def _find(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> list[tuple[Labels, int, float]]:
        of_name = [one for one in matchers if one.name == METRIC_NAME]
        others = [one for one in matchers if one.name != METRIC_NAME]
        with self._lock:
            found = [
                samples
                for metric, kept in self._kept.values()
                if all(one.matches(metric) for one in of_name)
                for samples in kept
                if start_ms <= samples.time_ms <= end_ms
            ]
        return [
            (labels, samples.time_ms, value)
            for samples in found
            for labels, value in zip(samples.labels, samples.values, strict=True)
            if all(one.matches(find_label(labels, one.name)) for one in others)
        ]


def _add(stored: SeriesFrame, recent: Sequence[tuple[Labels, int, float]]) -> SeriesFrame:
    labels = sorted({*stored.labels, *(one for one, _, _ in recent)})
    place = {one: number for number, one in enumerate(labels)}
    of_stored = np.array([place[one] for one in stored.labels], np.int32)
    index = np.concatenate(
        (
            np.repeat(of_stored, np.diff(stored.offsets)),
            np.array([place[one] for one, _, _ in recent], np.int32),
        )
    )
    times_ms = np.append(stored.times_ms, np.array([time_ms for _, time_ms, _ in recent], np.int64))
    values = np.append(stored.values, np.array([value for _, _, value in recent]))
    counts, times_ms, values = order_samples(index, times_ms, values, len(labels))
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    return SeriesFrame(labels, offsets, times_ms, values)
