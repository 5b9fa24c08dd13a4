"""Compensated sums and means of many histograms.

Source: Prometheus `FloatHistogram.KahanAdd`, `engine.aggregation` and `util/kahansum`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidegauge.model.histogram import Buckets, Histogram, ResetHint
from tidegauge.promql.native.arithmetic import (
    add,
    align,
    combine_hints,
    divide,
    multiply,
    require_compatible,
)
from tidegauge.promql.native.zero_buckets import reconcile


@dataclass(frozen=True, slots=True)
class Total:
    """A sum or mean of histograms.

    Args:
        histogram: it.
        hints_collide: some tell of a counter reset, others of none.
        bounds_reconciled: custom bounds differ; those in all were kept.
    """

    histogram: Histogram
    hints_collide: bool
    bounds_reconciled: bool


def total_of(histograms: Sequence[Histogram]) -> Total:
    """Return the sum of at least one histogram, in their order.

    Raises:
        IncompatibleHistograms: some have custom buckets, others have not.
    """
    running, reconciled = _sum_all(histograms)
    return _finish(running.close(), histograms, reconciled)


def mean_of(histograms: Sequence[Histogram]) -> Total:
    """Return the mean of at least one histogram; step by step where the sum overflows.

    Raises:
        IncompatibleHistograms: some have custom buckets, others have not.
    """
    running, reconciled = _start(histograms[0]), False
    stepwise = False
    for count, one in enumerate(histograms[1:], start=2):
        reconciled |= one.is_custom and one.bounds != running.total.bounds
        if not stepwise:
            raised = _add_compensated(running, one)
            if not _overflows(raised.total):
                running = raised
                continue
            stepwise, running = True, running.scale(1 / (count - 1))
        running = running.scale((count - 1) / count)
        running = _add_compensated(running, divide(one, float(count)))
    if not stepwise:
        running = running.scale(1 / len(histograms))
    return _finish(running.close(), histograms, reconciled)


def find_incompatible(histograms: Sequence[Histogram]) -> int | None:
    """Return the place of the first histogram that cannot be added to those before it."""
    for place, one in enumerate(histograms):
        if one.is_custom != histograms[0].is_custom:
            return place
    return None


@dataclass(frozen=True, slots=True)
class _Running:
    """A sum and what rounding lost of it, in the same layout."""

    total: Histogram
    lost: Histogram

    def scale(self, factor: float) -> _Running:
        return _Running(multiply(self.total, factor), multiply(self.lost, factor))

    def close(self) -> Histogram:
        return add(self.total, self.lost).histogram


def _sum_all(histograms: Sequence[Histogram]) -> tuple[_Running, bool]:
    running, reconciled = _start(histograms[0]), False
    for one in histograms[1:]:
        reconciled |= one.is_custom and one.bounds != running.total.bounds
        running = _add_compensated(running, one)
    return running, reconciled


def _start(histogram: Histogram) -> _Running:
    return _Running(histogram, _zeroed(histogram))


def _zeroed(histogram: Histogram) -> Histogram:
    return replace(
        histogram,
        count=0.0,
        sum=0.0,
        zero_count=0.0,
        positive=Buckets(histogram.positive.index, np.zeros(len(histogram.positive))),
        negative=Buckets(histogram.negative.index, np.zeros(len(histogram.negative))),
    )


def _add_compensated(running: _Running, term: Histogram) -> _Running:
    total, lost = running.total, running.lost
    require_compatible(total, term)
    total, term = align(total, term)
    if not total.is_custom:
        # What was lost goes with the buckets, also into a wider zero bucket.
        lost, _ = (
            reconcile(lost, total)
            if lost.zero_threshold < total.zero_threshold
            else (
                lost,
                total,
            )
        )
        lost = lost.reduce(total.schema)
    elif lost.bounds != total.bounds:
        lost, _ = align(lost, total)
    numbers, errors = _two_sum(
        np.array([total.count, total.sum, total.zero_count]),
        np.array([term.count, term.sum, term.zero_count]),
        np.array([lost.count, lost.sum, lost.zero_count]),
    )
    positive, positive_lost = _sum_buckets(total.positive, term.positive, lost.positive)
    negative, negative_lost = _sum_buckets(total.negative, term.negative, lost.negative)
    summed = replace(
        total,
        count=float(numbers[0]),
        sum=float(numbers[1]),
        zero_count=float(numbers[2]),
        positive=positive,
        negative=negative,
    )
    missing = replace(
        summed,
        count=float(errors[0]),
        sum=float(errors[1]),
        zero_count=float(errors[2]),
        positive=positive_lost,
        negative=negative_lost,
    )
    return _Running(summed, missing)


def _sum_buckets(total: Buckets, term: Buckets, lost: Buckets) -> tuple[Buckets, Buckets]:
    index = total.index
    if not (np.array_equal(index, term.index) and np.array_equal(index, lost.index)):
        index = np.union1d(np.union1d(index, term.index), lost.index)
    raised, errors = _two_sum(*(_spread(one, index) for one in (total, term, lost)))
    return Buckets(index, raised), Buckets(index, errors)


def _spread(buckets: Buckets, index: np.ndarray) -> np.ndarray:
    counts = np.zeros(len(index))
    counts[np.searchsorted(index, buckets.index)] = buckets.counts
    return counts


def _two_sum(
    total: np.ndarray, term: np.ndarray, lost: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(all="ignore"):
        raised = total + term
        larger = np.abs(total) >= np.abs(term)
        error = np.where(larger, (total - raised) + term, (term - raised) + total)
        return raised, np.where(np.isinf(raised), 0.0, lost + error)


def _overflows(histogram: Histogram) -> bool:
    numbers = [histogram.count, histogram.sum, histogram.zero_count]
    return any(
        bool(np.isinf(values).any())
        for values in (numbers, histogram.positive.counts, histogram.negative.counts)
    )


def _finish(result: Histogram, histograms: Sequence[Histogram], reconciled: bool) -> Total:
    hint = histograms[0].hint
    for one in histograms[1:]:
        hint, _ = combine_hints(hint, one.hint)
    hints = {one.hint for one in histograms}
    collide = {ResetHint.RESET, ResetHint.NOT_RESET} <= hints
    return Total(result.with_hint(hint), collide, reconciled)
