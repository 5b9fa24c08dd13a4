"""Whether a counter was reset between two histograms."""

from __future__ import annotations

import numpy as np

from tidegauge.model.histogram import Buckets, Histogram, ResetHint
from tidegauge.promql.native.arithmetic import map_to_bounds
from tidegauge.promql.native.zero_buckets import widen_zero_bucket


def is_reset(current: Histogram, previous: Histogram) -> bool:
    """Return whether the later of two histograms began anew.

    Its hint is believed; without one, any count that fell tells of it, and so does a change of
    the layout that only a new beginning explains.
    Source: Prometheus `FloatHistogram.DetectReset`.
    """
    if current.hint in (ResetHint.RESET, ResetHint.NOT_RESET):
        return current.hint is ResetHint.RESET
    if current.count < previous.count:
        return True
    if current.is_custom:
        if not previous.is_custom:
            return True
        if current.bounds != previous.bounds:
            bounds = tuple(sorted(set(current.bounds) & set(previous.bounds)))
            current, previous = (map_to_bounds(one, bounds) for one in (current, previous))
        return _fell(current.positive, previous.positive)
    if current.schema > previous.schema or current.zero_threshold < previous.zero_threshold:
        return True
    widened = widen_zero_bucket(previous, current.zero_threshold)
    if widened.zero_threshold != current.zero_threshold:
        return True
    if current.zero_count < widened.zero_count:
        return True
    reduced = widened.reduce(current.schema)
    return _fell(current.positive, reduced.positive) or _fell(current.negative, reduced.negative)


def _fell(current: Buckets, previous: Buckets) -> bool:
    """Return whether any bucket holds less than before; one that is not listed is empty."""
    now = np.zeros(len(previous))
    if len(current):
        at = np.minimum(np.searchsorted(current.index, previous.index), len(current) - 1)
        here = current.index[at] == previous.index
        now[here] = current.counts[at][here]
    return bool((now < previous.counts).any())
