"""Quantiles and fractions of one native histogram.

Source: Prometheus `promql/quantile.go`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import replace

from tidegauge.model.histogram import Bucket, Histogram


class Doubt(enum.Enum):
    """What a user should know of a result where a histogram has seen NaN."""

    NAN_RESULT = "input to histogram_quantile has NaN observations, result is NaN"
    SKEWED = "input to histogram_quantile has NaN observations, result is skewed higher"
    EXCLUDED = (
        "input to histogram_fraction has NaN observations, which are excluded from all fractions"
    )


def quantile_of(q: float, histogram: Histogram) -> tuple[float, Doubt | None]:
    """Return the q-quantile, interpolated within its bucket, and what to doubt of it.

    Args:
        q: below 0 gives -Inf, above 1 gives +Inf, NaN gives NaN.
    """
    if q < 0 or q > 1:
        return math.copysign(math.inf, q), None
    if histogram.count == 0 or math.isnan(q):
        return math.nan, None
    forward = math.isnan(histogram.sum) or q < 0.5
    buckets = histogram.all_buckets()
    if not forward:
        buckets.reverse()
    rank = (q if forward else 1 - q) * histogram.count
    bucket, count, place = _find(buckets, rank)
    if histogram.is_custom:
        if bucket.lower == -math.inf:
            if bucket.upper <= 0:
                return bucket.upper, None
            bucket = replace(bucket, lower=0.0)
        elif bucket.upper == math.inf:
            return bucket.lower, None
    elif bucket.lower < 0 < bucket.upper:
        bucket = _narrow_zero(bucket, histogram)
    count = min(count, histogram.count)
    if count < rank:
        if math.isnan(histogram.sum):
            return math.nan, Doubt.NAN_RESULT
        return bucket.upper, None
    rank = rank - (count - bucket.count) if forward else count - rank
    doubt = None
    if math.isnan(histogram.sum):
        # Of NaN only the count tells, no bucket; Inf and -Inf together are seen in buckets.
        seen = count + sum(one.count for one in buckets[place + 1 :])
        doubt = Doubt.SKEWED if seen < histogram.count else None
    return _interpolate(bucket, _divide(rank, bucket.count), histogram.is_custom), doubt


def fraction_of(lower: float, upper: float, histogram: Histogram) -> tuple[float, Doubt | None]:
    """Return the share of the observations between two values, and what to doubt of it."""
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan, None
    if lower >= upper:
        return 0.0, None
    buckets = histogram.all_buckets()
    lower_rank = _rank(lower, buckets, histogram)
    upper_rank = _rank(upper, buckets, histogram)
    count, doubt = histogram.count, None
    if math.isnan(histogram.sum):
        count = sum(one.count for one in buckets)
        doubt = Doubt.EXCLUDED if count < histogram.count else None
    lower_rank, upper_rank = (
        count if rank is None or rank > count else rank for rank in (lower_rank, upper_rank)
    )
    return (upper_rank - lower_rank) / histogram.count, doubt


def fraction_below(bucket: Bucket, value: float, *, linear: bool) -> float:
    """Return which part of a bucket lies below a value strictly inside of it."""
    if linear:
        return (value - bucket.lower) / (bucket.upper - bucket.lower)
    low, high, at = (math.log2(abs(one)) for one in (bucket.lower, bucket.upper, value))
    return (at - low) / (high - low) if value > 0 else 1 - (at - high) / (low - high)


def _find(buckets: Sequence[Bucket], rank: float) -> tuple[Bucket, float, int]:
    """Return the bucket in which a rank lies, how many there are up to it, and its place."""
    bucket, count = Bucket(0.0, 0.0, 0.0), 0.0
    for place, bucket in enumerate(buckets):
        if bucket.count == 0:
            continue
        count += bucket.count
        if count >= rank:
            return bucket, count, place
    return bucket, count, len(buckets)


def _narrow_zero(bucket: Bucket, histogram: Histogram) -> Bucket:
    """Return the zero bucket without the side on which the histogram has nothing else."""
    above, below = len(histogram.positive) > 0, len(histogram.negative) > 0
    if above and not below:
        return replace(bucket, lower=0.0)
    if below and not above:
        return replace(bucket, upper=0.0)
    return bucket


def _interpolate(bucket: Bucket, fraction: float, is_custom: bool) -> float:
    if is_custom or bucket.lower <= 0 <= bucket.upper:
        return bucket.lower + (bucket.upper - bucket.lower) * fraction
    low, high = math.log2(abs(bucket.lower)), math.log2(abs(bucket.upper))
    if bucket.lower > 0:
        return _exp2(low + (high - low) * fraction)
    return -_exp2(high + (low - high) * (1 - fraction))


def _rank(value: float, buckets: Sequence[Bucket], histogram: Histogram) -> float | None:
    """Return how many observations are below a value; None: it is above all buckets."""
    rank = 0.0
    for bucket in buckets:
        is_zero = bucket.lower <= 0 <= bucket.upper
        if is_zero:
            bucket = _narrow_zero(bucket, histogram)
        if bucket.lower >= value:
            return rank
        if bucket.upper > value:
            if not (histogram.is_custom or is_zero):
                return rank + bucket.count * fraction_below(bucket, value, linear=False)
            # An infinitely wide bucket cannot be interpolated: it counts in full.
            if bucket.lower == -math.inf:
                return bucket.count
            return rank + bucket.count * fraction_below(bucket, value, linear=True)
        rank += bucket.count
    return None


def _exp2(value: float) -> float:
    try:
        return float(2.0**value)
    except OverflowError:
        return math.inf


def _divide(one: float, other: float) -> float:
    return one / other if other else math.nan
