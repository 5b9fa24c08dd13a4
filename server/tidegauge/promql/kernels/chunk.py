"""A few series with the edges of their windows: what a range kernel works on at a time.

A chunk is small enough for its temporary arrays to stay in the processor's cache, and large
enough for NumPy's cost per call not to matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.kernels.windows import EdgePlan, Windows, find_edges


@dataclass(frozen=True, slots=True)
class Chunk:
    """C neighbouring series of a frame, and the edges of their windows.

    Args:
        times_ms: int64, shape (n,): the samples of all series of the chunk, one after another.
        values: float64, shape (n + 1,): as many, and one more without meaning, for `reduceat`.
        starts: int64, shape (C,): the first sample of each series.
        edges: int64, shape (C, G): the first sample after each cut of the plan.
        plan: the cuts.
        windows: the windows, T of them.
        params: the scalar arguments, float64 of shape (T,) each.
        check: to be called now and then by what works long on one chunk; what it raises ends
            the work.
    """

    times_ms: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    edges: np.ndarray
    plan: EdgePlan
    windows: Windows
    params: tuple[np.ndarray, ...]
    check: Callable[[], None]

    @property
    def left(self) -> np.ndarray:
        """The first sample of each window: int64, shape (C, T)."""
        return self.plan.left(self.edges)

    @property
    def right(self) -> np.ndarray:
        """The end, exclusive, of each window: int64, shape (C, T)."""
        return self.plan.right(self.edges)

    @property
    def samples(self) -> np.ndarray:
        """The values alone: float64, shape (n,)."""
        return self.values[:-1]

    def changes_before(self, changed: np.ndarray) -> np.ndarray:
        """Return how many of the steps from sample to sample are marked, up to each sample.

        Args:
            changed: bool, shape (n - 1,): a mark for the step from sample i to i + 1; what it
                says of a step from one series to the next is ignored.
        Returns:
            int32, shape (n,). A window has `result[right - 1] - result[left]` marks inside.
        """
        marks = np.zeros(len(self.times_ms), np.int32)
        marks[1:] = changed
        marks[self.starts[self.starts < len(marks)]] = 0
        counted: np.ndarray = np.cumsum(marks, dtype=np.int32)
        return counted


def take_chunk(
    frame: SeriesFrame,
    first: int,
    end: int,
    plan: EdgePlan,
    windows: Windows,
    params: tuple[np.ndarray, ...],
    check: Callable[[], None],
) -> Chunk:
    """Return the chunk of the series from `first` to `end`, exclusive."""
    base, stop = int(frame.offsets[first]), int(frame.offsets[end])
    edges = find_edges(frame, plan.cuts_ms, first, end)
    edges -= base
    values = frame.values[base : stop + 1]
    if len(values) == stop - base:
        values = np.append(values, np.nan)
    return Chunk(
        frame.times_ms[base:stop],
        values,
        frame.offsets[first:end] - base,
        edges,
        plan,
        windows,
        params,
        check,
    )
