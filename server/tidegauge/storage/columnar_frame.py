"""Puts samples in the order of a frame: by series, then by time, the last arrival winning."""

from __future__ import annotations

import numpy as np

_LONGEST_PATTERN = 1 << 17


def order_samples(
    index: np.ndarray, times_ms: np.ndarray, values: np.ndarray, series: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return samples sorted by series and time, one for each time.

    Args:
        index: uint16 or int32, shape (n,), each below `series`: which series a sample is of.
        times_ms: int64, shape (n,), in order of arrival, as are the others.
        values: float64, shape (n,).
        series: how many series there are.
    Returns:
        counts int64, shape (series,); times_ms and values, shape (sum of counts,).
    """
    if not len(index):
        return np.zeros(series, np.int64), times_ms, values
    pattern = _find_pattern(index, series)
    if pattern is not None:
        # Every scrape brings the same series in the same order: sorting is transposing.
        by_series = np.argsort(pattern, kind="stable")
        times_ms = _transpose(times_ms, by_series)
        values = _transpose(values, by_series)
        index = np.repeat(pattern[by_series], len(index) // len(pattern))
    else:
        order = np.argsort(index, kind="stable")
        index, times_ms, values = index[order], times_ms[order], values[order]
    rising = times_ms[1:] > times_ms[:-1]
    same = index[1:] == index[:-1]
    if not (rising | ~same).all():
        disordered = np.unique(index[1:][same & ~rising])
        index, times_ms, values = _sort_some(index, times_ms, values, disordered, series)
    return np.bincount(index, minlength=series).astype(np.int64), times_ms, values


def _find_pattern(index: np.ndarray, series: int) -> np.ndarray | None:
    """Return the run of different series that repeats from the first sample to the last."""
    again = np.flatnonzero(index[1 : _LONGEST_PATTERN + 1] == index[0])
    length = int(again[0]) + 1 if len(again) else len(index)
    pattern = index[:length]
    if length > _LONGEST_PATTERN or len(index) % length:
        return None
    if int(np.bincount(pattern, minlength=series).max()) > 1:
        return None
    repeats = bool((index.reshape(-1, length) == pattern).all())
    return pattern if repeats else None


def _transpose(column: np.ndarray, by_series: np.ndarray) -> np.ndarray:
    grid = column.reshape(-1, len(by_series))
    by_time: np.ndarray = grid.T[by_series].reshape(-1)
    return by_time


def _sort_some(
    index: np.ndarray,
    times_ms: np.ndarray,
    values: np.ndarray,
    disordered: np.ndarray,
    series: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort the samples of some series by time and keep the last of equal times.

    Args:
        index: sorted; samples of one series in order of arrival.
        disordered: the series whose times do not rise strictly.
    """
    wanted = np.zeros(series, bool)
    wanted[disordered] = True
    places = np.flatnonzero(wanted[index])
    # Stable: equal times stay in order of arrival.
    order = places[np.lexsort((times_ms[places], index[places]))]
    times_ms, values = times_ms.copy(), values.copy()
    times_ms[places], values[places] = times_ms[order], values[order]
    last = np.append((times_ms[1:] != times_ms[:-1]) | (index[1:] != index[:-1]), True)
    return index[last], times_ms[last], values[last]
