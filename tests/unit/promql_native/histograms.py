"""Native histograms for tests: from the notation of scripts, and drawn at random."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from tidegauge.model.histogram import Buckets, Histogram
from tidegauge.promql.native.zero_buckets import widen_zero_bucket
from tidegauge.promql.scripts.histograms import parse_histogram


def make(text: str) -> Histogram:
    """Return the histogram that stands between `{{` and `}}`."""
    return parse_histogram(text)[0]


def _sides() -> st.SearchStrategy[Buckets]:
    filled = st.dictionaries(st.integers(-8, 8), st.integers(1, 50), max_size=6)
    return filled.map(
        lambda counts: Buckets(
            np.array(sorted(counts), np.int64),
            np.array([counts[index] for index in sorted(counts)], np.float64),
        )
    )


@st.composite
def exponential(draw: st.DrawFn) -> Histogram:
    """Draw a histogram whose count is what its buckets hold."""
    positive, negative = draw(_sides()), draw(_sides())
    zero = draw(st.integers(0, 20))
    drawn = Histogram(
        schema=draw(st.integers(-2, 3)),
        count=float(positive.counts.sum() + negative.counts.sum() + zero),
        sum=float(draw(st.integers(-100, 100))),
        zero_count=float(zero),
        positive=positive,
        negative=negative,
    )
    # No bucket lies within the zero bucket.
    return widen_zero_bucket(drawn, draw(st.sampled_from([0.0, 0.001, 0.5])))


def total_in_buckets(histogram: Histogram) -> float:
    """Return how many observations its buckets hold."""
    sides = histogram.positive.counts.sum() + histogram.negative.counts.sum()
    return float(sides + histogram.zero_count)
