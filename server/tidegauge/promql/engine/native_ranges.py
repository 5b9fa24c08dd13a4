"""Functions of range vectors on series of which some samples are native histograms.

Such a series is taken window by window; those of floats alone go the fast way.
Source: Prometheus `promql/functions.go`.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.histogram import Histogram, are_histograms
from tidegauge.model.labels import METRIC_NAME, find_label
from tidegauge.promql.engine.context import Query
from tidegauge.promql.engine.selectors import RangeVector
from tidegauge.promql.kernels.extended_reference import EXTENDED_REFERENCES
from tidegauge.promql.kernels.reference import REFERENCES, Window
from tidegauge.promql.native.extension import extended_difference
from tidegauge.promql.native.notes import (
    hints_collide,
    ignored_in_range,
    inform,
    mixed_samples,
    mixed_schemas,
    reconciled,
    warn,
)
from tidegauge.promql.native.rates import extrapolated, instant_difference
from tidegauge.promql.native.resets import is_reset
from tidegauge.promql.native.starts import restarts
from tidegauge.promql.native.totals import Total, find_incompatible, mean_of, total_of
from tidegauge.promql.native.windows import Answer, NativeWindow, Sample
from tidegauge.promql.nodes import Span

Function = Callable[[NativeWindow], Answer]


_OF_STARTS = frozenset({"rate", "increase", "irate", "resets"})


def _special_rows(frame: SeriesFrame, func: str) -> np.ndarray:
    """Return which series have a histogram, or a start that the function asks for: bool (S,)."""
    special = np.zeros(len(frame.times_ms), bool)
    if frame.histograms is not None:
        special |= are_histograms(frame.histograms)
    if frame.starts_ms is not None and func in _OF_STARTS:
        special |= frame.starts_ms != 0
    found = np.zeros(len(special) + 1, np.int64)
    np.cumsum(special, out=found[1:])
    rows: np.ndarray = found[frame.offsets[1:]] > found[frame.offsets[:-1]]
    return rows


def apply_to_histograms(
    query: Query,
    func: str,
    ranges: RangeVector,
    params: tuple[np.ndarray, ...],
    values: np.ndarray,
    present: np.ndarray,
    *,
    extension: str,
    span: Span,
) -> np.ndarray | None:
    """Put into a result what comes of the series with histograms or starts.

    Args:
        values, present: shape (S, T): what comes of the others; changed.
        extension: "anchored", "smoothed" or "".
        span: of the range vector, for notes.
    Returns:
        The histograms in the result: object, shape (S, T); None: there are no such series.
    """
    rows = np.flatnonzero(_special_rows(ranges.frame, func)).tolist()
    if not rows:
        return None
    function = _choose(func, extension)
    grid = np.full(present.shape, None, object)
    before_ms = query.lookback_ms if extension else 0
    after_ms = query.lookback_ms if extension == "smoothed" else 0
    for row in rows:
        times_ms, samples, starts_ms, metric = _read(ranges.frame, row, func)
        for step, end_ms in enumerate(ranges.windows.ends_ms.tolist()):
            query.check()
            start_ms = end_ms - ranges.windows.range_ms
            first = bisect.bisect_right(times_ms, start_ms - before_ms)
            last = bisect.bisect_right(times_ms, end_ms + after_ms)
            present[row, step] = False
            if first >= last:
                continue
            answer = function(
                NativeWindow(
                    times_ms[first:last],
                    samples[first:last],
                    start_ms,
                    end_ms,
                    int(ranges.windows.eval_ms[step]),
                    [float(param[step]) for param in params],
                    metric,
                    starts_ms[first:last],
                )
            )
            for note in answer.notes:
                query.notes.add(note, span)
            _put(answer.sample, row, step, values, present, grid)
    return grid


def _put(
    sample: Sample | None,
    row: int,
    step: int,
    values: np.ndarray,
    present: np.ndarray,
    grid: np.ndarray,
) -> None:
    if sample is None:
        return
    present[row, step] = True
    if isinstance(sample, Histogram):
        grid[row, step] = sample
    else:
        values[row, step] = sample


def _read(
    frame: SeriesFrame, row: int, func: str
) -> tuple[list[int], list[Sample], list[int], str]:
    part = slice(int(frame.offsets[row]), int(frame.offsets[row + 1]))
    samples: list[Sample] = frame.values[part].tolist()
    if frame.histograms is not None:
        pairs = zip(samples, frame.histograms[part], strict=True)
        samples = [value if found is None else found for value, found in pairs]
    starts_ms: list[int] = []
    if frame.starts_ms is not None and func in _OF_STARTS:
        starts_ms = frame.starts_ms[part].tolist()
    metric = find_label(frame.labels[row], METRIC_NAME)
    return frame.times_ms[part].tolist(), samples, starts_ms, metric


def _choose(func: str, extension: str) -> Function:
    if not extension:
        return _FUNCTIONS.get(func) or partial(_of_floats, func)
    if func in ("changes", "resets"):
        return partial(_anchored_count, _FUNCTIONS[func])
    return partial(
        _extended,
        func,
        extension,
        smoothed=extension == "smoothed",
        counter=func != "delta",
        per_second=func == "rate",
    )


def _extended(func: str, extension: str, window: NativeWindow, **how: bool) -> Answer:
    if window.histograms():
        return extended_difference(window, **how)
    return Answer(EXTENDED_REFERENCES[extension, func](_floats_of(window)))


def _anchored_count(function: Function, window: NativeWindow) -> Answer:
    """Return what a function counts from the sample in force at the start on."""
    inside = bisect.bisect_right(window.times_ms, window.start_ms)
    if inside == len(window.times_ms):
        return Answer()
    return function(window.since(max(0, inside - 1)))


def _floats_of(window: NativeWindow) -> Window:
    floats = window.floats()
    return Window(
        [time_ms for time_ms, _ in floats],
        [value for _, value in floats],
        window.start_ms,
        window.end_ms,
        window.eval_ms,
        window.params,
    )


def _of_floats(func: str, window: NativeWindow) -> Answer:
    """Return what a function that knows no histograms makes of the floats alone."""
    floats = _floats_of(window)
    if not floats.values:
        return Answer()
    notes = [inform(ignored_in_range(window.metric))] if window.histograms() else []
    return Answer(REFERENCES[func](floats), notes)


def _rate(func: str, window: NativeWindow) -> Answer:
    if not window.histograms() and not any(window.starts_ms):
        return Answer(REFERENCES[func](_floats_of(window)))
    return extrapolated(window, counter=func != "delta", per_second=func == "rate")


def _instant(func: str, window: NativeWindow) -> Answer:
    last = window.since(max(0, len(window.samples) - 2))
    if not last.histograms() and not any(last.starts_ms):
        return Answer(REFERENCES[func](_floats_of(last)))
    return instant_difference(last, counter=func == "irate")


def _total(func: str, reduce: Callable[[list[Histogram]], Total], window: NativeWindow) -> Answer:
    histograms = window.histograms()
    if not histograms:
        return Answer(REFERENCES[func](_floats_of(window)))
    if len(histograms) < len(window.samples):
        return Answer(notes=[warn(mixed_samples(window.metric))])
    if find_incompatible(histograms) is not None:
        return Answer(notes=[warn(mixed_schemas(window.metric))])
    total = reduce(histograms)
    notes = [warn(hints_collide("aggregation"))] if total.hints_collide else []
    if total.bounds_reconciled:
        notes.append(inform(reconciled("aggregation")))
    return Answer(total.histogram, notes)


def _changes(window: NativeWindow) -> Answer:
    return Answer(float(sum(_differs(*pair) for pair in itertools.pairwise(window.samples))))


def _resets(window: NativeWindow) -> Answer:
    pairs = zip(itertools.pairwise(window.samples), restarts(window), strict=True)
    return Answer(float(sum(anew or _falls(*pair) for pair, anew in pairs)))


def _differs(before: Sample, after: Sample) -> bool:
    if isinstance(before, Histogram) and isinstance(after, Histogram):
        return not after.same_as(before)
    if isinstance(before, Histogram) or isinstance(after, Histogram):
        return True
    return before != after and not (math.isnan(before) and math.isnan(after))


def _falls(before: Sample, after: Sample) -> bool:
    if isinstance(before, Histogram) and isinstance(after, Histogram):
        return is_reset(after, before)
    if isinstance(before, Histogram) or isinstance(after, Histogram):
        return True
    return after < before


_FUNCTIONS: dict[str, Function] = {
    **{name: partial(_rate, name) for name in ("rate", "increase", "delta")},
    **{name: partial(_instant, name) for name in ("irate", "idelta")},
    "sum_over_time": partial(_total, "sum_over_time", total_of),
    "avg_over_time": partial(_total, "avg_over_time", mean_of),
    "count_over_time": lambda window: Answer(float(len(window.samples))),
    "present_over_time": lambda window: Answer(1.0),
    "first_over_time": lambda window: Answer(window.samples[0]),
    "last_over_time": lambda window: Answer(window.samples[-1]),
    "ts_of_first_over_time": lambda window: Answer(window.times_ms[0] / 1000),
    "ts_of_last_over_time": lambda window: Answer(window.times_ms[-1] / 1000),
    "changes": _changes,
    "resets": _resets,
}
