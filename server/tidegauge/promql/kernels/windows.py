"""The windows of a range selector over the time grid, and their edges among the samples."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.stale import is_stale

# A search costs as much as comparing this many samples.
COMPARISONS_PER_SEARCH = 400


@dataclass(frozen=True, slots=True)
class Windows:
    """One window per step: the samples with ends_ms - range_ms < time <= ends_ms.

    Args:
        eval_ms: int64, shape (T,), Unix ms: the steps of the query.
        ends_ms: int64, shape (T,), Unix ms: where the windows end in the data, after `@` and
            offset; rising, or all the same.
        range_ms: the length of every window.
    """

    eval_ms: np.ndarray
    ends_ms: np.ndarray
    range_ms: int

    @property
    def count(self) -> int:
        """How many windows there are (T)."""
        return len(self.ends_ms)

    @property
    def all_equal(self) -> bool:
        """Whether every step has the same window, as under an `@`."""
        return self.count > 0 and bool(self.ends_ms[0] == self.ends_ms[-1])

    @property
    def step_ms(self) -> int:
        """The distance between the ends, or 0 where it is not one fixed positive number."""
        if self.count < 2:
            return 0
        distances = np.diff(self.ends_ms)
        step = int(distances[0])
        return step if step > 0 and bool((distances == step).all()) else 0


def drop_stale(frame: SeriesFrame) -> SeriesFrame:
    """Return the frame without its stale markers; the same object if it has none.

    Source: promql.md §6 (SELECT): range selectors skip stale markers.
    """
    stale = is_stale(frame.values)
    if not stale.any():
        return frame
    kept = ~stale
    before = np.zeros(len(stale) + 1, np.int64)
    np.cumsum(kept, out=before[1:])
    return SeriesFrame(
        frame.labels,
        before[frame.offsets],
        frame.times_ms[kept],
        frame.values[kept],
        None if frame.histograms is None else frame.histograms[kept],
        None if frame.starts_ms is None else frame.starts_ms[kept],
    )


@dataclass(frozen=True, slots=True)
class EdgePlan:
    """The times at which the samples of every series are cut, chosen once per query.

    On a regular plan the cuts are evenly spaced: window i lies between cut i * stride and cut
    i * stride + slots, so that one search gives both edges and the spaces between the cuts are
    shared by the windows. Otherwise the cuts are all starts, followed by all ends, and slots is 0.

    Args:
        cuts_ms: int64, shape (G,).
        windows: T, how many windows.
        slots: how many spaces between cuts make a window; 0 on an irregular plan.
        stride: how many spaces lie between the ends of two windows.
    """

    cuts_ms: np.ndarray
    windows: int
    slots: int
    stride: int

    def left(self, edges: np.ndarray) -> np.ndarray:
        """Return the first sample of each window: a view (series, T) into edges (series, G)."""
        if not self.slots:
            return edges[:, : self.windows]
        return edges[:, : (self.windows - 1) * self.stride + 1 : self.stride]

    def right(self, edges: np.ndarray) -> np.ndarray:
        """Return the end (exclusive) of each window: a view (series, T) into edges (series, G)."""
        if not self.slots:
            return edges[:, self.windows :]
        return edges[:, self.slots :: self.stride]


def plan_edges(windows: Windows, most_cuts: int = 0) -> EdgePlan:
    """Choose the cuts for these windows.

    Args:
        windows: at least one.
        most_cuts: how many cuts a regular plan may have where the range is no multiple of the
            step; finer than the samples they would cost more than they save.
    """
    step_ms, count = windows.step_ms, windows.count
    slot_ms = math.gcd(step_ms, windows.range_ms)
    if step_ms and windows.range_ms > 0:
        slots, stride = windows.range_ms // slot_ms, step_ms // slot_ms
        cuts = (count - 1) * stride + slots + 1
        if cuts <= max(2 * count, most_cuts):
            first_ms = int(windows.ends_ms[0]) - windows.range_ms
            return EdgePlan(
                first_ms + slot_ms * np.arange(cuts, dtype=np.int64), count, slots, stride
            )
    cuts_ms = np.concatenate([windows.ends_ms - windows.range_ms, windows.ends_ms])
    return EdgePlan(cuts_ms, count, 0, 0)


def find_edges(
    frame: SeriesFrame, cuts_ms: np.ndarray, first_series: int, end_series: int
) -> np.ndarray:
    """Return, per series and cut, the index of the first sample later than the cut.

    Args:
        frame: the samples.
        cuts_ms: int64, shape (G,).
        first_series, end_series: which series, the end exclusive.
    Returns:
        int64, shape (end_series - first_series, G): indices into the frame's columns.
    """
    offsets = frame.offsets[first_series : end_series + 1]
    edges = np.empty((end_series - first_series, len(cuts_ms)), np.int64)
    start, end = int(offsets[0]), int(offsets[-1])
    if (end - start) * len(cuts_ms) <= COMPARISONS_PER_SEARCH * len(edges):
        # Many short series and few cuts: comparing all samples is cheaper than a call a series.
        passed = np.zeros(end - start + 1, np.int64)
        for column, cut_ms in enumerate(cuts_ms.tolist()):
            np.cumsum(frame.times_ms[start:end] <= cut_ms, out=passed[1:])
            counted = passed.take(offsets - start)
            np.subtract(counted[1:], counted[:-1], out=edges[:, column])
        edges += offsets[:-1, None]
        return edges
    bounds, times_ms = offsets.tolist(), frame.times_ms
    for row, (start, end) in enumerate(itertools.pairwise(bounds)):
        np.add(times_ms[start:end].searchsorted(cuts_ms, side="right"), start, out=edges[row])
    return edges
