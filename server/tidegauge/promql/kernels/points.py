"""Range functions that look at the edges of a window only, or count inside it."""

from __future__ import annotations

import numpy as np

from tidegauge.promql.kernels.chunk import Chunk

Result = tuple[np.ndarray, np.ndarray]


def count_over_time(chunk: Chunk) -> Result:
    """Return how many samples each window has."""
    count = chunk.right - chunk.left
    return count.astype(np.float64), count > 0


def present_over_time(chunk: Chunk) -> Result:
    """Return 1 for each window with a sample."""
    present = chunk.right > chunk.left
    return np.ones(present.shape), present


def first_over_time(chunk: Chunk) -> Result:
    """Return the first value of each window."""
    return chunk.values.take(chunk.left, mode="clip"), chunk.right > chunk.left


def last_over_time(chunk: Chunk) -> Result:
    """Return the last value of each window."""
    return chunk.values.take(chunk.right - 1, mode="clip"), chunk.right > chunk.left


def ts_of_first_over_time(chunk: Chunk) -> Result:
    """Return the time, in seconds, of the first sample of each window."""
    return chunk.times_ms.take(chunk.left, mode="clip") / 1000, chunk.right > chunk.left


def ts_of_last_over_time(chunk: Chunk) -> Result:
    """Return the time, in seconds, of the last sample of each window."""
    return chunk.times_ms.take(chunk.right - 1, mode="clip") / 1000, chunk.right > chunk.left


def idelta(chunk: Chunk) -> Result:
    """Return the difference of the last two samples of each window."""
    last = chunk.values.take(chunk.right - 1, mode="clip")
    last -= chunk.values.take(chunk.right - 2, mode="clip")
    return last, chunk.right - chunk.left > 1


def irate(chunk: Chunk) -> Result:
    """Return the increase per second between the last two samples; a drop restarts from zero."""
    at = chunk.right - 1
    last, last_ms = chunk.values.take(at, mode="clip"), chunk.times_ms.take(at, mode="clip")
    at -= 1
    previous = chunk.values.take(at, mode="clip")
    last_ms -= chunk.times_ms.take(at, mode="clip")
    np.subtract(last, previous, out=last, where=~(last < previous))
    last /= last_ms / 1000
    return last, chunk.right - chunk.left > 1


def changes(chunk: Chunk) -> Result:
    """Return how often the value changed in each window; from NaN to NaN is no change."""
    before, after = chunk.samples[:-1], chunk.samples[1:]
    return _count(chunk, (before != after) & ~(np.isnan(before) & np.isnan(after)))


def resets(chunk: Chunk) -> Result:
    """Return how often the value fell in each window."""
    return _count(chunk, chunk.samples[1:] < chunk.samples[:-1])


def _count(chunk: Chunk, changed: np.ndarray) -> Result:
    before = chunk.changes_before(changed)
    counted = before.take(chunk.right - 1, mode="clip") - before.take(chunk.left, mode="clip")
    return counted.astype(np.float64), chunk.right > chunk.left
