"""The `anchored` and `smoothed` range functions over one window in plain Python.

The authority for `extended`. Source: Prometheus `promql/functions.go` (extendedRate,
pickOrInterpolateLeft and its neighbours).
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable

from tidegauge.promql.kernels import reference
from tidegauge.promql.kernels.reference import Window


def interpolate(
    first: tuple[int, float], second: tuple[int, float], time_ms: int, *, counter: bool
) -> float:
    """Return the value at a time between two points; a counter that fell started from zero."""
    (first_ms, start), (second_ms, end) = first, second
    if counter and end < start:
        start = 0.0
    return start + (end - start) * float(time_ms - first_ms) / float(second_ms - first_ms)


def anchored_difference(window: Window, *, counter: bool) -> float | None:
    """Return the difference between the samples in force at the end and at the start.

    Args:
        window: its samples reach back before the start by the lookback.
        counter: what was reached before a fall is added.
    """
    first = _anchor(window)
    if first is None:
        return None
    return _difference(window, window.values[first], window.values[-1], counter=counter)


def smoothed_difference(window: Window, *, counter: bool) -> float | None:
    """Return the difference between the values interpolated at the end and at the start.

    Args:
        window: its samples reach beyond both ends by the lookback.
        counter: what was reached before a fall is added.
    """
    times_ms, start_ms, end_ms = window.times_ms, window.start_ms, window.end_ms
    points = list(zip(times_ms, window.values, strict=True))
    after_start = bisect.bisect_right(times_ms, start_ms)
    last = min(bisect.bisect_left(times_ms, end_ms), len(points) - 1)
    first = max(0, after_start - 1)
    if times_ms[last] <= start_ms or times_ms[first] > end_ms:
        return None
    left, right = points[first][1], points[last][1]
    if times_ms[first] < start_ms:
        left = interpolate(points[first], points[first + 1], start_ms, counter=counter)
    if last > 0 and times_ms[last] > end_ms:
        right = interpolate(points[last - 1], points[last], end_ms, counter=counter)
    return _difference(window, left, right, counter=counter)


def anchored_changes(window: Window) -> float | None:
    """Return how often the value changed, from the sample in force at the start on."""
    return _count(window, reference.changes)


def anchored_resets(window: Window) -> float | None:
    """Return how often the value fell, from the sample in force at the start on."""
    return _count(window, reference.resets)


def _anchor(window: Window) -> int | None:
    """Return the sample in force at the start, or the first after it; None if none is inside."""
    after_start = bisect.bisect_right(window.times_ms, window.start_ms)
    return None if after_start == len(window.times_ms) else max(0, after_start - 1)


def _difference(window: Window, left: float, right: float, *, counter: bool) -> float:
    result = right - left
    if counter:
        begin = bisect.bisect_right(window.times_ms, window.start_ms)
        end = bisect.bisect_left(window.times_ms, window.end_ms)
        correction = 0.0
        for before, after in itertools.pairwise([left, *window.values[begin:end], right]):
            if after < before:
                correction += before
        result += correction
    return result


def _count(window: Window, function: Callable[[Window], float]) -> float | None:
    first = _anchor(window)
    if first is None:
        return None
    return function(
        Window(
            window.times_ms[first:],
            window.values[first:],
            window.start_ms,
            window.end_ms,
            window.eval_ms,
        )
    )


def anchored_rate(window: Window) -> float | None:
    """Return the anchored increase per second of the range."""
    return _per_second(window, anchored_difference(window, counter=True))


def smoothed_rate(window: Window) -> float | None:
    """Return the smoothed increase per second of the range."""
    return _per_second(window, smoothed_difference(window, counter=True))


def _per_second(window: Window, raised: float | None) -> float | None:
    return None if raised is None else raised / ((window.end_ms - window.start_ms) / 1000)


EXTENDED_REFERENCES: dict[tuple[str, str], Callable[[Window], float | None]] = {
    ("anchored", "changes"): anchored_changes,
    ("anchored", "resets"): anchored_resets,
    ("anchored", "rate"): anchored_rate,
    ("anchored", "increase"): lambda window: anchored_difference(window, counter=True),
    ("anchored", "delta"): lambda window: anchored_difference(window, counter=False),
    ("smoothed", "rate"): smoothed_rate,
    ("smoothed", "increase"): lambda window: smoothed_difference(window, counter=True),
    ("smoothed", "delta"): lambda window: smoothed_difference(window, counter=False),
}
