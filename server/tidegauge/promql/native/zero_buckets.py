"""Zero buckets of different widths made one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidegauge.model.histogram import Buckets, Histogram


def widen_zero_bucket(histogram: Histogram, threshold: float) -> Histogram:
    """Return a histogram whose zero bucket reaches at least as far as a threshold.

    A filled bucket in which the threshold would lie is taken in whole.
    Args:
        threshold: at least the histogram's own.
    """
    if threshold == histogram.zero_threshold:
        return histogram
    while True:
        reached = max(
            _reach(histogram.positive_buckets(), threshold, 1),
            _reach(histogram.negative_buckets(), threshold, -1),
        )
        if reached == threshold:
            break
        threshold = reached
    taken_above, positive = _part(histogram, histogram.positive, threshold)
    taken_below, negative = _part(histogram, histogram.negative, threshold)
    return replace(
        histogram,
        zero_threshold=threshold,
        zero_count=histogram.zero_count + taken_above + taken_below,
        positive=positive,
        negative=negative,
    )


def reconcile(one: Histogram, other: Histogram) -> tuple[Histogram, Histogram]:
    """Return two histograms of exponential schemas with zero buckets of the same width."""
    while one.zero_threshold != other.zero_threshold:
        if one.zero_threshold > other.zero_threshold:
            other = widen_zero_bucket(other, one.zero_threshold)
        else:
            one = widen_zero_bucket(one, other.zero_threshold)
    return one, other


def _reach(buckets: object, threshold: float, sign: int) -> float:
    for one in buckets:  # type: ignore[attr-defined]
        near, far = (one.lower, one.upper) if sign > 0 else (-one.upper, -one.lower)
        if near >= threshold:
            break
        if far > threshold:
            return far if one.count else threshold
    return threshold


def _part(histogram: Histogram, buckets: Buckets, threshold: float) -> tuple[float, Buckets]:
    """Return what falls into the zero bucket, and the buckets that stay."""
    inside = np.array(
        [histogram.bound(index - 1) < threshold for index in buckets.index.tolist()], bool
    )
    if not inside.any():
        return 0.0, buckets
    kept = Buckets(buckets.index[~inside], buckets.counts[~inside])
    return float(buckets.counts[inside].sum()), kept
