"""rate, increase, delta, irate and idelta of histograms, and of floats with start timestamps.

Source: Prometheus `extrapolatedRate`, `histogramRate` and `instantValue`.
"""

from __future__ import annotations

import itertools
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
from tidegauge.promql.native.starts import note_overlap, restarts, start_within
from tidegauge.promql.native.windows import Answer, NativeWindow, Sample


def extrapolated(window: NativeWindow, *, counter: bool, per_second: bool) -> Answer:
    """Return how much a series grew in the window, extrapolated to its limits.

    Args:
        window: with a histogram, or with starts.
        counter: what was reached before a reset is added.
        per_second: divide by the range.
    """
    histograms = window.histograms()
    if 0 < len(histograms) < len(window.samples):
        return Answer(notes=[warn(mixed_samples(window.metric))])
    start_ms = start_within(window) if counter else 0
    if len(window.samples) < 2 and not start_ms:
        return Answer()
    notes: list[Note] = note_overlap(window) if counter else []
    try:
        grown = _growth(window, histograms, counter, notes)
        if start_ms:
            # It began within the window, at zero.
            first = window.samples[0]
            grown = first if grown is None else _add(grown, first, notes)
    except IncompatibleHistograms:
        return Answer(notes=[warn(mixed_schemas(window.metric))])
    assert grown is not None
    factor = _extrapolation(window, grown, counter, start_ms)
    if per_second:
        factor /= window.range_s
    return Answer(grown * factor if isinstance(grown, float) else multiply(grown, factor), notes)


def instant_difference(window: NativeWindow, *, counter: bool) -> Answer:
    """Return the difference of two samples, of a counter per second.

    Args:
        window: at most two samples, with a histogram or with starts.
    """
    if len(window.samples) < 2:
        return Answer()
    before, last = window.samples
    notes: list[Note] = []
    anew = counter and restarts(window)[0]
    if isinstance(before, Histogram) and isinstance(last, Histogram):
        notes += _note_kind((before, last), counter, window.metric)
        grown = last
        if not counter or not (anew or is_reset(last, before)):
            try:
                grown = take_noted(subtract(last, before), "subtraction", notes)
            except IncompatibleHistograms:
                return Answer(notes=[*notes, warn(mixed_schemas(window.metric))])
        result: Sample = grown.with_hint(ResetHint.GAUGE).compact()
    elif isinstance(before, Histogram) or isinstance(last, Histogram):
        return Answer(notes=[warn(mixed_samples(window.metric))])
    else:
        result = last if counter and (anew or last < before) else last - before
    if counter:
        seconds = (window.times_ms[1] - window.times_ms[0]) / 1000
        result = result / seconds if isinstance(result, float) else divide(result, seconds)
    return Answer(result, notes)


def _growth(
    window: NativeWindow, histograms: Sequence[Histogram], counter: bool, notes: list[Note]
) -> Sample | None:
    """Return how much a series grew between its first and its last sample; None: it has one."""
    if len(window.samples) < 2:
        return None
    if histograms:
        return _histogram_growth(window, histograms, counter, notes)
    values = [value for _, value in window.floats()]
    grown = values[-1] - values[0]
    for (before, one), anew in zip(itertools.pairwise(values), restarts(window), strict=True):
        if one < before or anew:
            grown += before
    return grown


def _histogram_growth(
    window: NativeWindow, histograms: Sequence[Histogram], counter: bool, notes: list[Note]
) -> Histogram:
    first, last = histograms[0], histograms[-1]
    anew = restarts(window) if counter else []
    if counter:
        notes += _note_kind(histograms, counter, window.metric)
        if anew[0] or is_reset(histograms[1], first):
            # What was before the reset does not count, and its layout need not fit.
            first = Histogram(histograms[1].schema, 0.0, 0.0, bounds=histograms[1].bounds)
    looked_at = [first, *histograms[1:]] if counter else [first, last]
    if any(one.is_custom != first.is_custom for one in looked_at):
        raise IncompatibleHistograms("exponential and custom buckets in one window")
    if not first.is_custom:
        last = last.reduce(min(one.schema for one in looked_at))
    result = take_noted(subtract(last, first), "subtraction", notes)
    if counter:
        pairs = zip(itertools.pairwise([first, *histograms[1:]]), anew, strict=True)
        for (before, one), began in pairs:
            if began or is_reset(one, before):
                result = take_noted(add(result, before), "addition", notes)
    else:
        notes += _note_kind((histograms[0], histograms[-1]), counter, window.metric)
    return result.with_hint(ResetHint.GAUGE).compact()


def _note_kind(histograms: Sequence[Histogram], counter: bool, metric: str) -> list[Note]:
    gauges = [one.hint is ResetHint.GAUGE for one in histograms]
    if counter:
        return [warn(no_counter(metric))] if any(gauges) else []
    return [] if all(gauges) else [warn(no_gauge(metric))]


def _extrapolation(window: NativeWindow, grown: Sample, counter: bool, start_ms: int) -> float:
    times_ms = window.times_ms
    to_start_s = (times_ms[0] - window.start_ms) / 1000
    to_end_s = (window.end_ms - times_ms[-1]) / 1000
    sampled_s = (times_ms[-1] - times_ms[0]) / 1000
    average_s = sampled_s / (len(times_ms) - 1) if len(times_ms) > 1 else 0.0
    if start_ms:
        to_start_s, sampled_s = 0.0, (times_ms[-1] - start_ms) / 1000
    else:
        if to_start_s >= average_s * 1.1:
            to_start_s = average_s / 2
        had, gained = _size(window.samples[0]), _size(grown)
        if counter and gained > 0 and had >= 0:
            to_start_s = min(to_start_s, sampled_s * (had / gained))
    if to_end_s >= average_s * 1.1:
        to_end_s = average_s / 2
    return (sampled_s + to_start_s + to_end_s) / sampled_s if sampled_s else 1.0


def _size(sample: Sample) -> float:
    return sample.count if isinstance(sample, Histogram) else sample


def _add(one: Sample, other: Sample, notes: list[Note]) -> Sample:
    if isinstance(one, Histogram) and isinstance(other, Histogram):
        return take_noted(add(one, other), "addition", notes)
    assert isinstance(one, float)
    assert isinstance(other, float)
    return one + other
