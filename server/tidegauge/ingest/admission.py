"""From decoded samples to a batch: unknown series are looked up or admitted, times are checked."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from tidegauge.errors import Unavailable
from tidegauge.ingest.cardinality import CardinalityGuard, Road
from tidegauge.ingest.errors import Rejection
from tidegauge.ingest.meter import IngestMeter
from tidegauge.ingest.registry import SeriesRegistry, pack_key, unpack_ids
from tidegauge.model.batch import MetricMetadata, SampleBatch
from tidegauge.model.labels import Labels
from tidegauge.storage.protocol import Catalogue


@dataclass(slots=True)
class Incoming:
    """Decoded samples of S series (or points), and what is known of these.

    Args:
        ids: int64, shape (S,): packed keys, 0 where the registry does not know the series.
        positions: int64, shape (N,), rising: the series of each sample.
        times_ms: int64, shape (N,), Unix ms.
        values: float64, shape (N,).
        forms: by position, under what the registry may remember an unknown series.
        labels: by position, its label set, checked.
        refused: by position, the series that are refused already.
        metadata: what the sender said of its metrics.
    """

    ids: np.ndarray
    positions: np.ndarray
    times_ms: np.ndarray
    values: np.ndarray
    forms: dict[int, Hashable] = field(default_factory=dict)
    labels: dict[int, Labels] = field(default_factory=dict)
    refused: dict[int, Rejection] = field(default_factory=dict)
    metadata: tuple[MetricMetadata, ...] = ()


@dataclass(frozen=True, slots=True)
class Admitted:
    """What of a request goes on, and what does not, in order of position."""

    batch: SampleBatch
    rejections: list[Rejection]


class Admission:
    """Decides which samples go on; safe from any number of threads.

    Args:
        registry: remembers series by the form in which they came.
        catalogue: knows all series.
        guard: admits new ones.
        max_past_ms, max_future_ms: how far from now a time may lie.
        meter: is told when the database was away.
    """

    def __init__(
        self,
        *,
        registry: SeriesRegistry,
        catalogue: Catalogue,
        guard: CardinalityGuard,
        max_past_ms: int,
        max_future_ms: int,
        meter: IngestMeter,
    ) -> None:
        self._registry, self._catalogue, self._guard = registry, catalogue, guard
        self._max_past_ms, self._max_future_ms = max_past_ms, max_future_ms
        self._meter = meter

    def admit(self, incoming: Incoming, road: Road, now_ms: int) -> Admitted:
        """Return the batch of what is admitted, and the rejections.

        An unknown series whose samples are all refused, or that has none, is not looked up.
        """
        positions, times_ms, values = incoming.positions, incoming.times_ms, incoming.values
        rejections = list(incoming.refused.values())
        in_time = (times_ms >= now_ms - self._max_past_ms) & (
            times_ms <= now_ms + self._max_future_ms
        )
        if not in_time.all():
            rejections += self._refuse_times(incoming, in_time, now_ms)
            positions, times_ms, values = positions[in_time], times_ms[in_time], values[in_time]
        new_series: tuple[Labels, ...] = ()
        if incoming.labels or incoming.refused:
            used = np.bincount(positions, minlength=len(incoming.ids))
            new_series, refused = self._resolve(incoming, used, road)
            rejections += refused
            kept = incoming.ids[positions] != 0
            positions, times_ms, values = positions[kept], times_ms[kept], values[kept]
        series_ids, metric_ids = _split_ids(incoming.ids[positions])
        batch = SampleBatch(series_ids, metric_ids, times_ms, values, new_series, incoming.metadata)
        rejections.sort(key=lambda rejection: rejection.index)
        return Admitted(batch, rejections)

    def _resolve(
        self, incoming: Incoming, used: np.ndarray, road: Road
    ) -> tuple[tuple[Labels, ...], list[Rejection]]:
        """Fill in the ids of unknown series: packed, or -(k + 1) for the k-th new one."""
        wanted = {
            position: labels for position, labels in incoming.labels.items() if used[position]
        }
        distinct = list(dict.fromkeys(wanted.values()))
        found, refused = self._look_up(distinct, road)
        new_index: dict[Labels, int] = {}
        rejections: list[Rejection] = []
        for position, labels in wanted.items():
            packed = found.get(labels, 0)
            if packed:
                incoming.ids[position] = packed
                self._registry.learn(incoming.forms[position], packed)
            elif labels in refused:
                count = int(used[position])
                rejections.append(
                    Rejection(position, "cardinality_limit", refused[labels], samples=count)
                )
            else:
                incoming.ids[position] = -1 - new_index.setdefault(labels, len(new_index))
        return tuple(new_index), rejections

    def _look_up(
        self, label_sets: list[Labels], road: Road
    ) -> tuple[dict[Labels, int], dict[Labels, str]]:
        if not label_sets:
            return {}, {}
        try:
            keys = self._catalogue.find_series(label_sets)
            found = {labels: pack_key(key) for labels, key in keys.items()}
            new = [labels for labels in label_sets if labels not in found]
            return found, self._guard.admit(new, road) if new else {}
        except Unavailable:
            # The queue takes data while the database is away: the series travel with their
            # labels, and whoever writes them looks them up.
            self._meter.guard_bypassed(len(label_sets))
            return {}, {}

    def _refuse_times(
        self, incoming: Incoming, in_time: np.ndarray, now_ms: int
    ) -> list[Rejection]:
        outside = np.flatnonzero(~in_time)
        # One rejection a series: a sender with a wrong clock has them all wrong.
        positions, first, counts = np.unique(
            incoming.positions[outside], return_index=True, return_counts=True
        )
        return [
            Rejection(position, "time_out_of_range", self._describe_time(at, now_ms), samples=count)
            for position, at, count in zip(
                positions.tolist(),
                incoming.times_ms[outside[first]].tolist(),
                counts.tolist(),
                strict=True,
            )
            if position not in incoming.refused
        ]

    def _describe_time(self, time_ms: int, now_ms: int) -> str:
        if time_ms > now_ms:
            return (
                f"time {time_ms} lies {(time_ms - now_ms) / 1000:.0f} s ahead, the limit is "
                f"{self._max_future_ms // 1000} s (TIDEGAUGE_INGEST_MAX_FUTURE_SECONDS)"
            )
        return (
            f"time {time_ms} lies {(now_ms - time_ms) // 1000} s back, the limit is "
            f"{self._max_past_ms // 1000} s (TIDEGAUGE_INGEST_MAX_PAST_SECONDS)"
        )


def _split_ids(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    series_ids, metric_ids = unpack_ids(ids)
    new = ids < 0
    if new.any():
        # A new series has no metric id yet; its number is small, so its low half is itself.
        series_ids[new], metric_ids[new] = metric_ids[new], 0
    return series_ids, metric_ids
