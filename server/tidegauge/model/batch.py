"""A sample batch: the samples of one request, as columns, on their way into storage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tidegauge.model.labels import Labels


@dataclass(frozen=True, slots=True)
class MetricMetadata:
    """What a sender says of a metric: its type, unit and help text ("" where it says nothing)."""

    name: str
    type: str = ""
    unit: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """Samples in the order in which they arrived; a later one wins over an earlier equal one.

    Args:
        series_ids: int32, shape (n,): the id of a known series, or -(k + 1) for `new_series[k]`.
        metric_ids: int32, shape (n,): the metric of a known series; 0 for a new one.
        times_ms: int64, shape (n,), Unix ms.
        values: float64, shape (n,), bit-exact.
        new_series: the label sets, `__name__` included, of series that had no id yet.
        metadata: what the sender said of its metrics.
    """

    series_ids: np.ndarray
    metric_ids: np.ndarray
    times_ms: np.ndarray
    values: np.ndarray
    new_series: tuple[Labels, ...] = ()
    metadata: tuple[MetricMetadata, ...] = field(default=())

    @property
    def count(self) -> int:
        """How many samples are in it."""
        return len(self.times_ms)
