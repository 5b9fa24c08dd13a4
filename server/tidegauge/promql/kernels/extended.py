"""The `anchored` and `smoothed` forms of selectors and range functions.

Anchored: the sample in force at the start of the window counts as its first, however long
before it was (up to the lookback). Smoothed: the values at both ends are interpolated between
the samples around them. Neither extrapolates.
Source: Prometheus `promql/functions.go` (extendedRate) and `engine.go` (smoothSeries).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.kernels.points import Result
from tidegauge.promql.kernels.rates import add_reached
from tidegauge.promql.kernels.windows import Windows, find_edges

CHUNK_CELLS = 1 << 15

ANCHORED_FUNCTIONS = frozenset({"changes", "delta", "increase", "rate", "resets"})
SMOOTHED_FUNCTIONS = frozenset({"delta", "increase", "rate"})


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """Samples of some series with where their windows lie: indices int64, shape (C, T).

    Args:
        times_ms, values: the samples.
        starts: int64, shape (C,): the first sample of each series.
        begin: the first sample within the lookback before the window.
        inside: the first sample later than the start of the window.
        at_end: the first sample at its end or later.
        after: the first sample beyond what may be looked at.
        windows: the windows.
    """

    times_ms: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    begin: np.ndarray
    inside: np.ndarray
    at_end: np.ndarray
    after: np.ndarray
    windows: Windows

    def interpolate(self, later: np.ndarray, time_ms: np.ndarray, *, counter: bool) -> np.ndarray:
        """Return the values at a time between the sample before `later` and that one."""
        start = self.values.take(later - 1, mode="clip")
        end = self.values.take(later, mode="clip")
        start_ms = self.times_ms.take(later - 1, mode="clip")
        end_ms = self.times_ms.take(later, mode="clip")
        if counter:
            start = np.where(end < start, 0.0, start)
        value: np.ndarray = start + (end - start) * (time_ms - start_ms) / (end_ms - start_ms)
        return value


def apply_extended(
    name: str,
    mode: str,
    frame: SeriesFrame,
    windows: Windows,
    lookback_ms: int,
    check: Callable[[], None],
) -> Result:
    """Apply an anchored or smoothed range function to every series and window.

    Args:
        name: one of ANCHORED_FUNCTIONS or SMOOTHED_FUNCTIONS.
        mode: "anchored" or "smoothed".
        frame: the samples without stale markers, from a lookback before the first window, and,
            for smoothed, to a lookback after the last one.
        windows: T windows.
        lookback_ms: how far samples outside the window are looked for.
        check: called between chunks of series; what it raises ends the work.
    Returns:
        values float64 (S, T), NaN where there is none; present bool (S, T).
    """
    series, steps = len(frame.offsets) - 1, windows.count
    values = np.full((series, steps), np.nan)
    present = np.zeros((series, steps), bool)
    if not steps or not len(frame.times_ms):
        return values, present
    size = max(1, CHUNK_CELLS // steps)
    ahead_ms = lookback_ms if mode == "smoothed" else 0
    for first in range(0, series, size):
        check()
        end = min(series, first + size)
        near = _surround(frame, first, end, windows, lookback_ms, ahead_ms)
        with np.errstate(all="ignore"):
            if name in ("changes", "resets"):
                result = _count(near, falls_only=name == "resets")
            else:
                result = _difference(near, smoothed=mode == "smoothed", counter=name != "delta")
                if name == "rate":
                    result[0][...] /= windows.range_ms / 1000
        values[first:end], present[first:end] = result
    np.copyto(values, np.nan, where=~present)
    return values, present


def _surround(
    frame: SeriesFrame, first: int, end: int, windows: Windows, lookback_ms: int, ahead_ms: int
) -> _Surroundings:
    base, stop = int(frame.offsets[first]), int(frame.offsets[end])
    starts_ms = windows.ends_ms - windows.range_ms
    cuts_ms = np.concatenate(
        [starts_ms - lookback_ms, starts_ms, windows.ends_ms - 1, windows.ends_ms + ahead_ms]
    )
    edges = find_edges(frame, cuts_ms, first, end) - base
    begin, inside, at_end, after = np.split(edges, 4, axis=1)
    return _Surroundings(
        frame.times_ms[base:stop],
        frame.values[base:stop],
        frame.offsets[first:end] - base,
        begin,
        inside,
        at_end,
        after,
        windows,
    )


def _difference(near: _Surroundings, *, smoothed: bool, counter: bool) -> Result:
    starts_ms = near.windows.ends_ms - near.windows.range_ms
    ends_ms = near.windows.ends_ms
    anchored = near.inside > near.begin
    first = np.where(anchored, near.inside - 1, near.begin)
    last = near.after - 1
    if smoothed:
        last = np.minimum(near.at_end, last)
    left = near.values.take(first, mode="clip")
    right = near.values.take(last, mode="clip")
    present = (near.after > near.begin) & (last >= near.inside)
    if smoothed:
        first_ms = near.times_ms.take(first, mode="clip")
        last_ms = near.times_ms.take(last, mode="clip")
        present &= first_ms <= ends_ms
        before = near.interpolate(near.inside, starts_ms, counter=counter)
        np.copyto(left, before, where=first_ms < starts_ms)
        beyond = near.interpolate(last, ends_ms, counter=counter)
        np.copyto(right, beyond, where=(last > near.begin) & (last_ms > ends_ms))
    result = right - left
    if counter:
        result += _correct(near, left, right)
    return result, present


def _correct(near: _Surroundings, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return what counters had reached before each fall on the way from left to right."""
    some = near.at_end > near.inside
    first = near.values.take(near.inside, mode="clip")
    last = near.values.take(near.at_end - 1, mode="clip")
    correction = np.where(some & (first < left), left, 0.0)
    fallen = np.flatnonzero(near.values[1:] < near.values[:-1]) + 1
    fallen = fallen[~np.isin(fallen, near.starts)]
    add_reached(near.values, fallen, near.inside, near.at_end, correction)
    before = np.where(some, last, left)
    correction += np.where(right < before, before, 0.0)
    return correction


def _count(near: _Surroundings, *, falls_only: bool) -> Result:
    earlier, later = near.values[:-1], near.values[1:]
    changed = later < earlier
    if not falls_only:
        changed = (later != earlier) & ~(np.isnan(earlier) & np.isnan(later))
    marks = np.zeros(len(near.values), np.int32)
    marks[1:] = changed
    passed = np.cumsum(marks, dtype=np.int32)
    first = np.where(near.inside > near.begin, near.inside - 1, near.begin)
    counted = passed.take(near.after - 1, mode="clip") - passed.take(first, mode="clip")
    return counted.astype(np.float64), near.after > near.inside


def smooth_instant(
    frame: SeriesFrame, ends_ms: np.ndarray, lookback_ms: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the value of a smoothed instant selector at every step.

    It is interpolated between the samples around the step, or that of the one before if none
    follows within the lookback; a series that only begins later is absent.

    Args:
        frame: the samples without stale markers, a lookback before and after the steps included.
        ends_ms: int64, shape (T,), Unix ms: the steps after `@` and offset.
        lookback_ms: how far samples are looked for, both ways.
    Returns:
        values float64 (S, T), NaN where there is none; present bool (S, T).
    """
    windows = Windows(ends_ms, ends_ms, 0)
    series, steps = len(frame.offsets) - 1, len(ends_ms)
    if not steps or not len(frame.times_ms):
        return np.full((series, steps), np.nan), np.zeros((series, steps), bool)
    near = _surround(frame, 0, series, windows, lookback_ms, lookback_ms)
    # `inside` is the first sample after the step, so the one before is at it or earlier.
    values = near.values.take(near.inside - 1, mode="clip")
    exact = near.times_ms.take(near.inside - 1, mode="clip") == ends_ms
    present = near.inside > near.begin
    with np.errstate(all="ignore"):
        between = near.interpolate(near.inside, ends_ms, counter=False)
    np.copyto(values, between, where=(near.after > near.inside) & ~exact)
    np.copyto(values, np.nan, where=~present)
    return values, present


def extend_window(
    frame: SeriesFrame, mode: str, start_ms: int, end_ms: int, lookback_ms: int
) -> SeriesFrame:
    """Return the points of an anchored or smoothed range selector at the top of a query.

    They are a point at the start, the samples strictly inside, and a point at the end.

    Args:
        frame: the samples without stale markers, as for `apply_extended`.
        mode: "anchored" or "smoothed".
        start_ms, end_ms: the window.
        lookback_ms: how far samples outside the window are looked for.
    Returns:
        The frame; series without a sample later than the start have none.
    """
    windows = Windows(np.array([end_ms]), np.array([end_ms]), end_ms - start_ms)
    series, smoothed = len(frame.offsets) - 1, mode == "smoothed"
    if not len(frame.times_ms):
        return frame
    near = _surround(frame, 0, series, windows, lookback_ms, lookback_ms if smoothed else 0)
    times_ms: list[np.ndarray] = []
    values: list[np.ndarray] = []
    offsets = np.zeros(series + 1, np.int64)
    for row in range(series):
        begin, inside = int(near.begin[row, 0]), int(near.inside[row, 0])
        at_end, after = int(near.at_end[row, 0]), int(near.after[row, 0])
        offsets[row + 1] = offsets[row]
        last = min(at_end, after - 1) if smoothed else after - 1
        if after <= begin or last < inside:
            continue
        first = inside - 1 if inside > begin else begin
        left, right = near.values[first], near.values[last]
        if smoothed and near.times_ms[first] < start_ms:
            left = near.interpolate(
                np.array(inside), windows.ends_ms - windows.range_ms, counter=False
            )[0]
        if smoothed and last > begin and near.times_ms[last] > end_ms:
            right = near.interpolate(np.array(last), windows.ends_ms, counter=False)[0]
        times_ms += [np.array([start_ms]), near.times_ms[inside:at_end], np.array([end_ms])]
        values += [np.array([left]), near.values[inside:at_end], np.array([right])]
        offsets[row + 1] += at_end - inside + 2
    if not times_ms:
        return SeriesFrame(frame.labels, offsets, np.zeros(0, np.int64), np.zeros(0))
    return SeriesFrame(frame.labels, offsets, np.concatenate(times_ms), np.concatenate(values))
