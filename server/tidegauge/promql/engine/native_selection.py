"""Selectors over series with native histograms.

Source: Prometheus `engine.smoothSeries`.
"""

from __future__ import annotations

import bisect

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.histogram import Histogram, ResetHint
from tidegauge.model.labels import METRIC_NAME, find_label
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Query
from tidegauge.promql.native.extension import interpolate
from tidegauge.promql.native.notes import Note, mixed_samples, mixed_schemas, warn
from tidegauge.promql.native.resets import is_reset
from tidegauge.promql.value import Vector

_OF_RESETS = (ResetHint.RESET, ResetHint.NOT_RESET)


def histograms_at(frame: SeriesFrame, present: np.ndarray, times_ms: np.ndarray) -> np.ndarray:
    """Return the histograms that an instant selector has found: object, shape (S, T).

    Args:
        present, times_ms: shape (S, T): where there is a sample, and its own time.
    """
    assert frame.histograms is not None
    grid = np.full(present.shape, None, object)
    return _put_found(frame, present, times_ms, frame.histograms, grid)


def starts_at(frame: SeriesFrame, present: np.ndarray, times_ms: np.ndarray) -> np.ndarray:
    """Return when the samples that an instant selector has found began: int64, shape (S, T)."""
    assert frame.starts_ms is not None
    grid = np.zeros(present.shape, np.int64)
    return _put_found(frame, present, times_ms, frame.starts_ms, grid)


def _put_found(
    frame: SeriesFrame,
    present: np.ndarray,
    times_ms: np.ndarray,
    column: np.ndarray,
    grid: np.ndarray,
) -> np.ndarray:
    for row in range(len(frame.labels)):
        start, end = int(frame.offsets[row]), int(frame.offsets[row + 1])
        here = np.flatnonzero(present[row])
        at = start + np.searchsorted(frame.times_ms[start:end], times_ms[row, here])
        grid[row, here] = column[at]
    return grid


def find_resets(frame: SeriesFrame) -> np.ndarray:
    """Return the histograms of a frame, told of each but a series' first whether it was reset."""
    assert frame.histograms is not None
    known = frame.histograms.copy()
    for row in range(len(frame.labels)):
        before: Histogram | None = None
        for at in range(int(frame.offsets[row]), int(frame.offsets[row + 1])):
            one = frame.histograms[at]
            if one is None or one.is_stale:
                continue
            if one.hint is ResetHint.UNKNOWN and before is not None:
                hint = ResetHint.RESET if is_reset(one, before) else ResetHint.NOT_RESET
                known[at] = one.with_hint(hint)
            before = one
    return known


def forget_resets(histograms: np.ndarray) -> np.ndarray:
    """Return histograms of which it is not known whether a reset was before them."""
    known = np.empty(len(histograms), object)
    known[:] = [
        one.with_hint(ResetHint.UNKNOWN) if one is not None and one.hint in _OF_RESETS else one
        for one in histograms
    ]
    return known


def smooth_histograms(
    query: Query,
    selector: nodes.VectorSelector,
    frame: SeriesFrame,
    ends_ms: np.ndarray,
    vector: Vector,
) -> None:
    """Put into a smoothed vector what comes of series with histograms.

    Args:
        frame: the samples without stale markers, a lookback before and after included.
        vector: as it came of the floats alone; changed.
    """
    assert frame.histograms is not None
    vector.histograms = np.full(vector.present.shape, None, object)
    for row, labels in enumerate(frame.labels):
        part = slice(int(frame.offsets[row]), int(frame.offsets[row + 1]))
        samples = frame.histograms[part].tolist()
        if not any(one is not None for one in samples):
            continue
        metric = find_label(labels, METRIC_NAME)
        times_ms = frame.times_ms[part].tolist()
        for step, end_ms in enumerate(ends_ms.tolist()):
            first = bisect.bisect_right(times_ms, end_ms - query.lookback_ms)
            last = bisect.bisect_right(times_ms, end_ms + query.lookback_ms)
            near = samples[first:last]
            if not any(one is not None for one in near):
                continue
            found, notes = _smooth(times_ms[first:last], near, end_ms, metric)
            for note in notes:
                query.notes.add(note, selector.span)
            vector.present[row, step] = found is not None
            vector.histograms[row, step] = found


def _smooth(
    times_ms: list[int], samples: list[Histogram | None], end_ms: int, metric: str
) -> tuple[Histogram | None, list[Note]]:
    if any(one is None for one in samples):
        return None, [warn(mixed_samples(metric))]
    at = bisect.bisect_left(times_ms, end_ms)
    if at < len(samples) and times_ms[at] == end_ms:
        return samples[at], []
    if at == 0:
        return None, []
    before = samples[at - 1]
    assert before is not None
    if at == len(samples):
        return before.with_hint(ResetHint.UNKNOWN), []
    after = samples[at]
    assert after is not None
    if before.is_custom != after.is_custom:
        return None, [warn(mixed_schemas(metric))]
    gauges = before.hint is ResetHint.GAUGE and after.hint is ResetHint.GAUGE
    notes: list[Note] = []
    found = interpolate(
        (times_ms[at - 1], before), (times_ms[at], after), end_ms, counter=not gauges, notes=notes
    )
    return found, notes
