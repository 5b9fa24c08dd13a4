"""The instant selector: the newest sample of each series at each step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.stale import is_stale
from tidegauge.promql.kernels.windows import find_edges

CHUNK_CELLS = 1 << 15


def select_instant(
    frame: SeriesFrame,
    ends_ms: np.ndarray,
    lookback_ms: int,
    check: Callable[[], None] = lambda: None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the newest sample with ends_ms - lookback_ms < time <= ends_ms.

    Where the newest one is a stale marker the series is absent; older samples do not stand in.

    Args:
        frame: samples, stale markers included.
        ends_ms: int64, shape (T,), Unix ms, rising or all equal: the steps after `@` and offset.
        lookback_ms: how old a sample may be; one exactly this old is out.
        check: called between chunks of series; what it raises ends the work.
    Returns:
        values float64 (S, T); present bool (S, T); times_ms int64 (S, T), the samples' own times.
        Values and times mean nothing where present is False.
    Source: promql.md §6 (SELECT, STALE).
    """
    series, steps = len(frame.offsets) - 1, len(ends_ms)
    if steps > 1 and ends_ms[0] == ends_ms[-1]:
        values, present, times_ms = select_instant(frame, ends_ms[:1], lookback_ms, check)
        return (
            np.repeat(values, steps, axis=1),
            np.repeat(present, steps, axis=1),
            np.repeat(times_ms, steps, axis=1),
        )
    values = np.zeros((series, steps))
    present = np.zeros((series, steps), bool)
    times_ms = np.zeros((series, steps), np.int64)
    if not steps or not len(frame.times_ms):
        return values, present, times_ms
    oldest_ms = ends_ms - lookback_ms
    chunk = max(1, CHUNK_CELLS // steps)
    for first in range(0, series, chunk):
        check()
        end = min(series, first + chunk)
        newest = find_edges(frame, ends_ms, first, end)
        newest -= 1
        # A step before the first sample points into the series before; clip keeps the very
        # first one inside the column, the comparison below takes them all out.
        frame.times_ms.take(newest, mode="clip", out=times_ms[first:end])
        frame.values.take(newest, mode="clip", out=values[first:end])
        here = present[first:end]
        np.greater(times_ms[first:end], oldest_ms, out=here)
        here &= newest >= frame.offsets[first:end, None]
        here &= ~is_stale(values[first:end])
    return values, present, times_ms
