"""The `anchored` and `smoothed` forms on histograms.

Source: Prometheus `interpolateHistograms`, `extendedHistogramRate`.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from tidegauge.model.histogram import Histogram, ResetHint
from tidegauge.promql.native.arithmetic import (
    IncompatibleHistograms,
    add,
    divide,
    multiply,
    subtract,
    take_noted,
)
from tidegauge.promql.native.notes import (
    Note,
    mixed_samples,
    mixed_schemas,
    no_counter,
    no_gauge,
    warn,
)
from tidegauge.promql.native.resets import is_reset
from tidegauge.promql.native.windows import Answer, NativeWindow

Point = tuple[int, Histogram]


def interpolate(
    first: Point, second: Point, time_ms: int, *, counter: bool, notes: list[Note]
) -> Histogram:
    """Return the histogram at a time between two; a counter that was reset started from nothing.

    Args:
        notes: gets what the user should know.
    Raises:
        IncompatibleHistograms.
    """
    (first_ms, start), (second_ms, end) = first, second
    if time_ms == first_ms:
        return start
    if time_ms == second_ms:
        return end
    fraction = (time_ms - first_ms) / (second_ms - first_ms)
    if counter and is_reset(end, start):
        return multiply(end, fraction)
    grown = take_noted(subtract(end, start), "subtraction", notes)
    return take_noted(add(multiply(grown, fraction), start), "addition", notes)


def extended_difference(
    window: NativeWindow, *, smoothed: bool, counter: bool, per_second: bool
) -> Answer:
    """Return the difference between the histograms in force, or interpolated, at both ends.

    Args:
        window: its samples reach beyond the limits by the lookback; after the end only if smoothed.
        counter: what was reached before a reset is added.
        per_second: divide by the range.
    """
    points: list[Point] = []
    for time_ms, sample in zip(window.times_ms, window.samples, strict=True):
        if not isinstance(sample, Histogram):
            return Answer(notes=[warn(mixed_samples(window.metric))])
        points.append((time_ms, sample))
    last = len(points) - 1
    first = max(0, bisect.bisect_right(window.times_ms, window.start_ms, 0, last) - 1)
    if smoothed:
        last = bisect.bisect_left(window.times_ms, window.end_ms, 0, last)
    if points[last][0] <= window.start_ms or (smoothed and points[first][0] > window.end_ms):
        return Answer()
    notes: list[Note] = []
    try:
        result = _difference(window, points, first, last, smoothed, counter, notes)
    except IncompatibleHistograms:
        notes.append(warn(mixed_schemas(window.metric)))
        return Answer(notes=notes)
    if per_second:
        result = divide(result, window.range_s)
    return Answer(result.with_hint(ResetHint.GAUGE).compact(), notes)


def _difference(
    window: NativeWindow,
    points: Sequence[Point],
    first: int,
    last: int,
    smoothed: bool,
    counter: bool,
    notes: list[Note],
) -> Histogram:
    inner = [one for _, one in points[first : last + 1]]
    if any(one.is_custom != inner[0].is_custom for one in inner):
        raise IncompatibleHistograms("exponential and custom buckets in one window")
    if counter and any(one.hint is ResetHint.GAUGE for one in inner):
        notes.append(warn(no_counter(window.metric)))
    left, right = points[first][1], points[last][1]
    if smoothed and points[first][0] < window.start_ms:
        left = interpolate(
            points[first], points[first + 1], window.start_ms, counter=counter, notes=notes
        )
    if smoothed and last > 0 and points[last][0] > window.end_ms:
        right = interpolate(
            points[last - 1], points[last], window.end_ms, counter=counter, notes=notes
        )
    if not counter and {left.hint, right.hint} != {ResetHint.GAUGE}:
        notes.append(warn(no_gauge(window.metric)))
    result = take_noted(subtract(right, left), "subtraction", notes)
    if counter:
        start = points[first]
        spanned = (
            smoothed and start[0] < window.start_ms and is_reset(points[first + 1][1], start[1])
        )
        correction = _correction(points, first, last, left, right, spanned, notes)
        if correction is not None:
            result = take_noted(add(result, correction), "addition", notes)
    return result


def _correction(
    points: Sequence[Point],
    first: int,
    last: int,
    left: Histogram,
    right: Histogram,
    spanned: bool,
    notes: list[Note],
) -> Histogram | None:
    """Return what was reached before each reset between two samples; None: there was none.

    Args:
        spanned: the reset after the first sample is in the interpolated `left` already.
    """
    before, begin = left, first + 1
    if spanned:
        before, begin = points[first + 1][1], first + 2
    if begin > last:
        return None
    total: Histogram | None = None
    for one in [histogram for _, histogram in points[begin:last]] + [right]:
        if is_reset(one, before):
            total = before if total is None else take_noted(add(total, before), "addition", notes)
        before = one
    return total
