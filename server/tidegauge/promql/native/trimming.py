"""What is above or below a value cut off a histogram: the operators `</` and `>/`.

Source: Prometheus `FloatHistogram.TrimBuckets`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tidegauge.model.histogram import Bucket, Buckets, Histogram
from tidegauge.promql.native.quantiles import fraction_below


def trim(histogram: Histogram, value: float, *, keep_below: bool) -> Histogram:
    """Return a histogram with only the observations below, or above, a value.

    Where anything was cut off, count and sum are estimated anew from the buckets.
    """
    trimmer = _Trimmer(histogram, value, keep_below)
    positive = trimmer.side(histogram.positive, histogram.positive_buckets(), positive=True)
    negative = trimmer.side(histogram.negative, histogram.negative_buckets(), positive=False)
    zero_count = histogram.zero_count
    if zero_count > 0:
        above, below = (bool((side.counts != 0).any()) for side in (
            histogram.positive, histogram.negative,
        ))  # fmt: skip
        zero_count = trimmer.zero(above, below)
    if not trimmer.trimmed:
        return histogram
    return replace(
        histogram,
        count=trimmer.count,
        sum=trimmer.sum,
        zero_count=zero_count,
        positive=positive.compact(),
        negative=negative.compact(),
    )


class _Trimmer:
    def __init__(self, histogram: Histogram, value: float, keep_below: bool) -> None:
        self._histogram, self._value, self._keep_below = histogram, value, keep_below
        self.count = self.sum = 0.0
        self.trimmed = False

    def side(self, buckets: Buckets, each: Iterator[Bucket], *, positive: bool) -> Buckets:
        kept = [self._keep(bucket, positive) for bucket in each]
        return Buckets(buckets.index, np.array(kept, np.float64))

    def zero(self, above: bool, below: bool) -> float:
        bucket = self._histogram.zero_bucket()
        lower = 0.0 if above and not below else bucket.lower
        upper = 0.0 if below and not above else bucket.upper
        value = self._value
        start, end = (lower, value) if self._keep_below else (value, upper)
        if value <= lower:
            share, middle = (0.0, 0.0) if self._keep_below else (1.0, (lower + upper) / 2)
        elif value >= upper:
            share, middle = (1.0, (lower + upper) / 2) if self._keep_below else (0.0, 0.0)
        else:
            share, middle = (end - start) / (upper - lower), (start + end) / 2
        return self._take(bucket.count, bucket.count * share, middle)

    def _keep(self, bucket: Bucket, positive: bool) -> float:
        if bucket.count == 0:
            return 0.0
        linear, value = self._histogram.is_custom, self._value
        within = bucket.upper <= value if self._keep_below else bucket.lower >= value
        if within:
            middle = _middle(bucket.lower, bucket.upper, positive, linear)
            return self._take(bucket.count, bucket.count, middle)
        cut = bucket.lower < value if self._keep_below else bucket.upper > value
        if not cut:
            self.trimmed = True
            return 0.0
        return self._take(bucket.count, *self._cut(bucket, positive))

    def _cut(self, bucket: Bucket, positive: bool) -> tuple[float, float]:
        """Return how much of a bucket that holds the value stays, and its middle."""
        linear, value = self._histogram.is_custom, self._value
        if math.isinf(bucket.lower) or math.isinf(bucket.upper):
            return _cut_infinite(bucket, value, self._keep_below)
        below = bucket.count
        if value < bucket.upper:
            below = 0.0
            if value > bucket.lower:
                below = bucket.count * fraction_below(bucket, value, linear=linear)
        if self._keep_below:
            return below, _middle(bucket.lower, value, positive, linear)
        return bucket.count - below, _middle(value, bucket.upper, positive, linear)

    def _take(self, before: float, kept: float, middle: float) -> float:
        self.count += kept
        self.sum += middle * kept
        self.trimmed |= kept != before
        return kept


def _cut_infinite(bucket: Bucket, value: float, keep_below: bool) -> tuple[float, float]:
    """Return what stays of a bucket with an infinite bound.

    Nobody knows where in it observations lie: what may lie on the wrong side goes, but the lowest
    custom bucket is taken to begin at zero where it ends above.
    """
    if math.isinf(bucket.lower):
        from_zero = 0 < bucket.upper < math.inf
        if keep_below:
            if value >= bucket.upper:
                return bucket.count, 0.0
            if value > 0 and from_zero:
                return bucket.count * value / bucket.upper, value / 2
            if bucket.upper <= 0:
                return bucket.count, value
        else:
            if value <= bucket.lower:
                return bucket.count, 0.0
            if 0 <= value < bucket.upper and from_zero:
                return bucket.count * (1 - value / bucket.upper), (value + bucket.upper) / 2
        return 0.0, 0.0 if math.isinf(bucket.upper) else bucket.upper
    if not keep_below and value >= bucket.lower:
        return bucket.count, value
    return 0.0, bucket.lower


def _middle(lower: float, upper: float, positive: bool, linear: bool) -> float:
    if math.isinf(lower):
        if math.isinf(upper):
            return 0.0
        return upper / 2 if upper > 0 else upper
    if math.isinf(upper):
        return lower
    if linear:
        return (lower + upper) / 2
    middle = math.sqrt(abs(lower * upper))
    return middle if positive else -middle
