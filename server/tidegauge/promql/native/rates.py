"""rate, increase, delta, irate and idelta of histograms.

Source: Prometheus `extrapolatedRate`, `histogramRate` and `instantValue`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tidegauge.model.histogram import Histogram, ResetHint
from tidegauge.promql.native.arithmetic import (
    Combined,
    IncompatibleHistograms,
    add,
    divide,
    multiply,
    subtract,
)
from tidegauge.promql.native.notes import (
    Note,
    inform,
    mixed_samples,
    mixed_schemas,
    no_counter,
    no_gauge,
    reconciled,
    warn,
)
from tidegauge.promql.native.resets import is_reset
from tidegauge.promql.native.windows import Answer, NativeWindow


def extrapolated(window: NativeWindow, *, counter: bool, per_second: bool) -> Answer:
    """Return how much a histogram grew in the window, extrapolated to its limits.

    Args:
        window: with at least one histogram.
        counter: what was reached before a reset is added.
        per_second: divide by the range.
    """
    histograms = window.histograms()
    if len(histograms) < len(window.samples):
        return Answer(notes=[warn(mixed_samples(window.metric))])
    if len(histograms) < 2:
        return Answer()
    notes: list[Note] = []
    try:
        grown = _growth(histograms, counter, window.metric, notes)
    except IncompatibleHistograms:
        return Answer(notes=[warn(mixed_schemas(window.metric))])
    factor = _extrapolation(window, histograms[0], grown, counter)
    if per_second:
        factor /= window.range_s
    return Answer(multiply(grown, factor), notes)


def instant_difference(window: NativeWindow, *, counter: bool) -> Answer:
    """Return the difference of the last two samples, of a counter per second.

    Args:
        window: one of the two is a histogram.
    """
    if len(window.samples) < 2:
        return Answer()
    before, last = window.samples[-2:]
    if not isinstance(before, Histogram) or not isinstance(last, Histogram):
        return Answer(notes=[warn(mixed_samples(window.metric))])
    notes: list[Note] = []
    if counter and ResetHint.GAUGE in (before.hint, last.hint):
        notes.append(warn(no_counter(window.metric)))
    if not counter and {before.hint, last.hint} != {ResetHint.GAUGE}:
        notes.append(warn(no_gauge(window.metric)))
    result = last
    if not counter or not is_reset(last, before):
        try:
            result = _noted(subtract(last, before), "subtraction", notes)
        except IncompatibleHistograms:
            return Answer(notes=[*notes, warn(mixed_schemas(window.metric))])
    result = result.with_hint(ResetHint.GAUGE).compact()
    if counter:
        result = divide(result, (window.times_ms[-1] - window.times_ms[-2]) / 1000)
    return Answer(result, notes)


def _growth(
    histograms: Sequence[Histogram], counter: bool, metric: str, notes: list[Note]
) -> Histogram:
    first, last = histograms[0], histograms[-1]
    if counter:
        if any(one.hint is ResetHint.GAUGE for one in histograms):
            notes.append(warn(no_counter(metric)))
        if is_reset(histograms[1], first):
            # What was before the reset does not count, and its layout need not fit.
            first = Histogram(histograms[1].schema, 0.0, 0.0, bounds=histograms[1].bounds)
    looked_at = [first, *histograms[1:]] if counter else [first, last]
    if any(one.is_custom != first.is_custom for one in looked_at):
        raise IncompatibleHistograms("exponential and custom buckets in one window")
    if not first.is_custom:
        last = last.reduce(min(one.schema for one in looked_at))
    result = _noted(subtract(last, first), "subtraction", notes)
    if counter:
        for before, one in itertools.pairwise([first, *histograms[1:]]):
            if is_reset(one, before):
                result = _noted(add(result, before), "addition", notes)
    elif {histograms[0].hint, histograms[-1].hint} != {ResetHint.GAUGE}:
        notes.append(warn(no_gauge(metric)))
    return result.with_hint(ResetHint.GAUGE).compact()


def _extrapolation(
    window: NativeWindow, first: Histogram, grown: Histogram, counter: bool
) -> float:
    times_ms = window.times_ms
    to_start_s = (times_ms[0] - window.start_ms) / 1000
    to_end_s = (window.end_ms - times_ms[-1]) / 1000
    sampled_s = (times_ms[-1] - times_ms[0]) / 1000
    average_s = sampled_s / (len(times_ms) - 1)
    if to_start_s >= average_s * 1.1:
        to_start_s = average_s / 2
    if counter and grown.count > 0 and first.count >= 0:
        to_start_s = min(to_start_s, sampled_s * (first.count / grown.count))
    if to_end_s >= average_s * 1.1:
        to_end_s = average_s / 2
    return (sampled_s + to_start_s + to_end_s) / sampled_s


def _noted(combined: Combined, doing: str, notes: list[Note]) -> Histogram:
    if combined.bounds_reconciled:
        notes.append(inform(reconciled(doing)))
    return combined.histogram
