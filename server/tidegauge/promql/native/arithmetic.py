"""Histograms added, subtracted, scaled and compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tidegauge.errors import InvalidInput
from tidegauge.model.histogram import NO_BUCKETS, Buckets, Histogram, ResetHint
from tidegauge.promql.native.notes import Note, inform, reconciled
from tidegauge.promql.native.zero_buckets import reconcile


class IncompatibleHistograms(InvalidInput):
    """One histogram has exponential buckets, the other one custom ones."""


@dataclass(frozen=True, slots=True)
class Combined:
    """Two histograms made one.

    Args:
        histogram: the result.
        hints_collide: one tells of a counter reset, the other one of none.
        bounds_reconciled: their custom bounds differ; those in both were kept.
    """

    histogram: Histogram
    hints_collide: bool = False
    bounds_reconciled: bool = False


def take_noted(combined: Combined, doing: str, notes: list[Note]) -> Histogram:
    """Return the result, and note if only the common ones of custom bounds were kept.

    Args:
        doing: what was done, for the note: "addition", "subtraction".
    """
    if combined.bounds_reconciled:
        notes.append(inform(reconciled(doing)))
    return combined.histogram


def add(one: Histogram, other: Histogram) -> Combined:
    """Return the sum of two histograms.

    Raises:
        IncompatibleHistograms.
    """
    return _combine(one, other, 1.0)


def subtract(one: Histogram, other: Histogram) -> Combined:
    """Return the difference of two histograms; it may have negative counts.

    Raises:
        IncompatibleHistograms.
    """
    return _combine(one, other, -1.0)


def multiply(histogram: Histogram, factor: float) -> Histogram:
    """Return a histogram with everything multiplied; with a negative factor it is a gauge."""
    return replace(
        histogram,
        count=histogram.count * factor,
        sum=histogram.sum * factor,
        zero_count=histogram.zero_count * factor,
        positive=Buckets(histogram.positive.index, histogram.positive.counts * factor),
        negative=Buckets(histogram.negative.index, histogram.negative.counts * factor),
        hint=ResetHint.GAUGE if factor < 0 else histogram.hint,
    )


def divide(histogram: Histogram, divisor: float) -> Histogram:
    """Return a histogram with everything divided; division by zero leaves no buckets."""
    count, total, zero = (
        float(value)
        for value in np.array([histogram.count, histogram.sum, histogram.zero_count]) / divisor
    )
    positive, negative = NO_BUCKETS, NO_BUCKETS
    if divisor != 0:
        positive = Buckets(histogram.positive.index, histogram.positive.counts / divisor)
        negative = Buckets(histogram.negative.index, histogram.negative.counts / divisor)
    return replace(
        histogram,
        count=count,
        sum=total,
        zero_count=zero,
        positive=positive,
        negative=negative,
        hint=ResetHint.GAUGE if divisor < 0 else histogram.hint,
    )


def require_compatible(one: Histogram, other: Histogram) -> None:
    """Return if two histograms can be combined.

    Raises:
        IncompatibleHistograms.
    """
    if one.is_custom != other.is_custom:
        raise IncompatibleHistograms(
            "cannot apply this operation on histograms with a mix of exponential and custom "
            "bucket schemas"
        )


def combine_hints(one: ResetHint, other: ResetHint) -> tuple[ResetHint, bool]:
    """Return the hint of a sum, and whether the two contradict each other."""
    if one is other:
        return one, False
    if ResetHint.GAUGE in (one, other):
        return ResetHint.GAUGE, False
    return ResetHint.UNKNOWN, ResetHint.UNKNOWN not in (one, other)


def align(one: Histogram, other: Histogram) -> tuple[Histogram, Histogram]:
    """Return two compatible histograms with the same schema, bounds and zero bucket."""
    if one.is_custom:
        if one.bounds == other.bounds:
            return one, other
        bounds = tuple(sorted(set(one.bounds) & set(other.bounds)))
        return map_to_bounds(one, bounds), map_to_bounds(other, bounds)
    one, other = reconcile(one, other)
    schema = min(one.schema, other.schema)
    return one.reduce(schema), other.reduce(schema)


def map_to_bounds(histogram: Histogram, bounds: tuple[float, ...]) -> Histogram:
    """Return a histogram of custom bounds with only some of them."""
    own = np.append(histogram.bounds, np.inf)[histogram.positive.index]
    targets = np.searchsorted(np.array(bounds), own, side="left")
    index, where = np.unique(targets, return_inverse=True)
    counts = np.bincount(where, histogram.positive.counts, len(index))
    return replace(histogram, bounds=bounds, positive=Buckets(index.astype(np.int64), counts))


def add_buckets(one: Buckets, other: Buckets, sign: float = 1.0) -> Buckets:
    """Return the sum of two sides of the same layout."""
    if np.array_equal(one.index, other.index):
        return Buckets(one.index, one.counts + sign * other.counts)
    index = np.union1d(one.index, other.index)
    counts = np.zeros(len(index))
    counts[np.searchsorted(index, one.index)] = one.counts
    counts[np.searchsorted(index, other.index)] += sign * other.counts
    return Buckets(index, counts)


def _combine(one: Histogram, other: Histogram, sign: float) -> Combined:
    require_compatible(one, other)
    hint, collide = combine_hints(one.hint, other.hint)
    reconciled = one.is_custom and one.bounds != other.bounds
    one, other = align(one, other)
    result = replace(
        one,
        count=one.count + sign * other.count,
        sum=one.sum + sign * other.sum,
        zero_count=one.zero_count + sign * other.zero_count,
        positive=add_buckets(one.positive, other.positive, sign),
        negative=add_buckets(one.negative, other.negative, sign),
        hint=hint,
    )
    return Combined(result, collide, reconciled)
