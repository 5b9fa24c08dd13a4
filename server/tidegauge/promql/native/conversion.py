"""Native histograms with custom buckets made of classic ones.

Source: Prometheus `util/convertnhcb`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tidegauge.model.histogram import CUSTOM_SCHEMA, Buckets, Histogram


def convert_classic(
    buckets: Mapping[float, float], *, count: float | None, total: float
) -> Histogram | None:
    """Return a histogram, or None where the counts contradict each other.

    Args:
        buckets: the cumulative count by upper bound.
        count: of all observations; None: that of the greatest bucket.
        total: the sum of all observations.
    """
    bounds = sorted(bound for bound in buckets if not math.isnan(bound))
    if count is None:
        count = buckets[bounds[-1]] if bounds else 0.0
    cumulative = [buckets[bound] for bound in bounds]
    if not bounds or bounds[-1] != math.inf:
        bounds.append(math.inf)
        cumulative.append(count)
    counts = np.diff(np.array([0.0, *cumulative]))
    if (counts < 0).any() or count != cumulative[-1]:
        return None
    return Histogram(
        CUSTOM_SCHEMA,
        count,
        total,
        positive=Buckets(np.arange(len(counts), dtype=np.int64), counts).compact(),
        bounds=tuple(bounds[:-1]),
    )
