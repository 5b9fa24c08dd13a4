"""Quantile and fraction of a classic histogram at one step, in plain Python.

The authority for `histogram`. Source: Prometheus `promql/quantile.go`.
"""

from __future__ import annotations

import bisect
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tidegauge.promql.kernels.reference import divide

SMALL_DELTA = 1e-12

Bucket = tuple[float, float]


@dataclass(frozen=True, slots=True)
class BucketQuantile:
    """A quantile, and where falling counts had to be raised, between which bounds and how far."""

    value: float
    forced: bool = False
    least_bound: float = math.inf
    greatest_bound: float = -math.inf
    greatest_diff: float = 0.0


def bucket_quantile(q: float, buckets: Sequence[Bucket]) -> BucketQuantile:
    """Return the q-quantile.

    Args:
        q: below 0 gives -Inf, above 1 gives +Inf, NaN gives NaN.
        buckets: upper bound and cumulative count of each, at least one, sorted by bound.
    """
    if math.isnan(q):
        return BucketQuantile(math.nan)
    if not 0 <= q <= 1:
        return BucketQuantile(math.copysign(math.inf, q))
    if buckets[-1][0] != math.inf:
        return BucketQuantile(math.nan)
    bounds, counts = coalesce_buckets(buckets)
    fixed, note = _raise_falling(bounds, counts)
    return BucketQuantile(
        _interpolate(q, bounds, fixed),
        note.forced, note.least_bound, note.greatest_bound, note.greatest_diff,
    )  # fmt: skip


def coalesce_buckets(buckets: Sequence[Bucket]) -> tuple[list[float], list[float]]:
    """Return bounds and counts; buckets of equal bound are added up."""
    bounds: list[float] = []
    counts: list[float] = []
    for bound, count in buckets:
        if bounds and bounds[-1] == bound:
            counts[-1] += count
        else:
            bounds.append(bound)
            counts.append(count)
    return bounds, counts


def nearly_equal(left: float, right: float) -> bool:
    """Return whether two counts differ by no more than rounding.

    Source: Prometheus `util/almost`.
    """
    if left == right or (math.isnan(left) and math.isnan(right)):
        return True
    total, difference = abs(left) + abs(right), abs(left - right)
    if left == 0 or right == 0 or total < sys.float_info.min:
        return difference < SMALL_DELTA * sys.float_info.min
    return difference / min(total, sys.float_info.max) < SMALL_DELTA


def _raise_falling(bounds: list[float], counts: list[float]) -> tuple[list[float], BucketQuantile]:
    fixed = [counts[0]]
    forced, least, greatest, diff = False, math.inf, -math.inf, 0.0
    for bound, count in zip(bounds[1:], counts[1:], strict=True):
        before = fixed[-1]
        if nearly_equal(before, count):
            count = before
        elif count < before:
            forced, diff = True, max(diff, before - count)
            least, greatest = min(least, bound), max(greatest, bound)
            count = before
        fixed.append(count)
    return fixed, BucketQuantile(math.nan, forced, least, greatest, diff)


def _interpolate(q: float, bounds: list[float], counts: list[float]) -> float:
    last = len(bounds) - 1
    if last < 1 or counts[last] == 0:
        return math.nan
    rank = q * counts[last]
    # A binary search, since with a NaN among the counts it matters which one is asked.
    index = bisect.bisect_left(counts, True, 0, last, key=lambda count: count >= rank)
    if index == last:
        return bounds[last - 1]
    if index == 0 and bounds[0] <= 0:
        return bounds[0]
    start, count = 0.0, counts[index]
    if index:
        start = bounds[index - 1]
        count -= counts[index - 1]
        rank -= counts[index - 1]
    return start + (bounds[index] - start) * divide(rank, count)


def bucket_fraction(lower: float, upper: float, buckets: Sequence[Bucket]) -> float:
    """Return the share of the observations between two values.

    Args:
        lower, upper: the limits; -Inf and +Inf leave a side open.
        buckets: upper bound and cumulative count of each, at least one, sorted by bound.
    """
    if buckets[-1][0] != math.inf:
        return math.nan
    bounds, counts = coalesce_buckets(buckets)
    total = counts[-1]
    if total == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    return divide(_rank(upper, bounds, counts) - _rank(lower, bounds, counts), total)


def _rank(value: float, bounds: list[float], counts: list[float]) -> float:
    """Return how many observations are below a value."""
    rank, start = 0.0, 0.0 if bounds[0] > 0 else -math.inf
    for end, count in zip(bounds, counts, strict=True):
        if start >= value:
            return counts[-1] if rank > counts[-1] else rank
        if end > value:
            # An infinitely wide bucket cannot be interpolated: the lowest one counts in full.
            if start != -math.inf:
                count = rank + (count - rank) * (value - start) / (end - start)
            return counts[-1] if count > counts[-1] else count
        rank, start = count, end
    return counts[-1]
