"""A series frame: the samples of many series, as columns, on their way out of storage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidegauge.model.labels import Labels


@dataclass(frozen=True, slots=True)
class SeriesFrame:
    """Samples of S series, one after another.

    Args:
        labels: the label set of each series, `__name__` included; sorted, each once.
        offsets: int64, shape (S + 1,): series i has the samples offsets[i] to offsets[i + 1].
        times_ms: int64, shape (N,), Unix ms, strictly rising within a series.
        values: float64, shape (N,), bit-exact, stale markers included.
        histograms: object, shape (N,): a `Histogram` where the sample is one, whose value is its
            sum, else None. None: all samples are floats.
        starts_ms: int64, shape (N,): when the counter behind a sample began to count, Unix ms, 0
            where it is unknown. None: it is nowhere known.
    A series without samples in the range asked for may be there with none.
    """

    labels: list[Labels]
    offsets: np.ndarray
    times_ms: np.ndarray
    values: np.ndarray
    histograms: np.ndarray | None = None
    starts_ms: np.ndarray | None = None

    @staticmethod
    def empty() -> SeriesFrame:
        """Return the frame of no series."""
        return SeriesFrame(
            [], np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64)
        )
