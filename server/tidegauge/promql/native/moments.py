"""Mean and deviation of one native histogram."""

from __future__ import annotations

import math

from tidegauge.model.histogram import Bucket, Histogram
from tidegauge.promql.kernels.reference import add_compensated, divide


def mean_of_observations(histogram: Histogram) -> float:
    """Return the mean of what was observed."""
    return divide(histogram.sum, histogram.count)


def variance_of_observations(histogram: Histogram) -> float:
    """Return the variance, as if all observations of a bucket lay in its middle.

    Source: Prometheus `histogramVariance`.
    """
    mean = mean_of_observations(histogram)
    total = lost = 0.0
    for bucket in histogram.all_buckets():
        if bucket.count == 0:
            continue
        distance = _middle(bucket, histogram.is_custom) - mean
        total, lost = add_compensated(bucket.count * distance * distance, total, lost)
    return divide(total + lost, histogram.count)


def deviation_of_observations(histogram: Histogram) -> float:
    """Return the square root of the variance."""
    variance = variance_of_observations(histogram)
    return math.sqrt(variance) if variance >= 0 else math.nan


def _middle(bucket: Bucket, is_custom: bool) -> float:
    if is_custom:
        return (bucket.upper + bucket.lower) / 2
    if bucket.lower <= 0 <= bucket.upper:
        return 0.0
    middle = math.sqrt(bucket.upper * bucket.lower)
    return -middle if bucket.upper < 0 else middle
