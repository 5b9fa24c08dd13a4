"""Classic histograms: the scalar functions by hand, the kernels against them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tidegauge.promql.kernels.histogram import classic_fraction, classic_quantile
from tidegauge.promql.kernels.histogram_reference import bucket_fraction, bucket_quantile

INF, NAN = math.inf, math.nan
LATENCY = [(0.1, 2.0), (0.2, 6.0), (1.0, 10.0), (INF, 12.0)]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        (0.25, 0.125),  # rank 3: a quarter into (0.1, 0.2]
        (1 / 12, 0.05),  # rank 1: half of (0, 0.1]
        (0.75, 0.8),  # rank 9: three quarters of (0.2, 1]
        (1.0, 1.0),  # in the +Inf bucket: the bound below it
        (-0.1, -INF),
        (1.1, INF),
        (NAN, NAN),
    ],
)
def test_quantile_is_interpolated_in_its_bucket(q, expected):
    assert bucket_quantile(q, LATENCY).value == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    "buckets",
    [
        [(0.1, 2.0), (0.2, 6.0)],  # no +Inf
        [(INF, 5.0)],  # alone
        [(1.0, 0.0), (INF, 0.0)],  # nothing observed
    ],
)
def test_quantile_that_nobody_knows_is_nan(buckets):
    assert math.isnan(bucket_quantile(0.5, buckets).value)


def test_lowest_bucket_at_or_below_zero_stands_for_itself():
    assert bucket_quantile(0.1, [(-1.0, 5.0), (1.0, 10.0), (INF, 10.0)]).value == -1
    assert bucket_quantile(0.1, [(0.0, 5.0), (1.0, 10.0), (INF, 10.0)]).value == 0


def test_equal_bounds_are_added_up():
    twice = [(0.1, 1.0), (0.1, 1.0), (0.2, 6.0), (1.0, 10.0), (INF, 12.0)]
    assert bucket_quantile(0.25, twice) == bucket_quantile(0.25, LATENCY)


def test_falling_counts_are_raised_and_noted():
    found = bucket_quantile(0.5, [(1.0, 8.0), (2.0, 5.0), (4.0, 7.0), (8.0, 9.0), (INF, 10.0)])
    assert found.value == pytest.approx(0.625)
    assert found.forced
    assert (found.least_bound, found.greatest_bound, found.greatest_diff) == (2, 4, 3)


def test_falls_by_rounding_are_raised_in_silence():
    found = bucket_quantile(0.5, [(1.0, 10.0), (2.0, 10.0 * (1 - 1e-13)), (INF, 20.0)])
    assert not found.forced


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (-INF, INF, 1),
        (-INF, 0.2, 0.5),
        (0.1, 0.2, 1 / 3),
        (0.15, 0.6, (8 - 4) / 12),
        (2.0, INF, 2 / 12),
        (0.5, 0.5, 0),
        (1.0, 0.5, 0),
        (NAN, 1.0, NAN),
        (0.0, NAN, NAN),
    ],
)
def test_fraction_is_interpolated_at_both_ends(lower, upper, expected):
    assert bucket_fraction(lower, upper, LATENCY) == pytest.approx(expected, nan_ok=True)


def random_histogram(rng, steps):
    buckets = int(rng.integers(1, 8))
    bounds = np.sort(rng.choice([-2, -1, 0, 0.5, 1, 1, 2, 4, 8.0], buckets))
    if rng.random() < 0.9:
        bounds[-1] = INF
    counts = np.sort(rng.integers(0, 6, (buckets, steps)).astype(float), axis=0)
    disorder = rng.random()
    if disorder < 0.4:
        counts = rng.permutation(counts)
    elif disorder < 0.6:
        counts *= 1 + rng.uniform(-1e-13, 1e-13, counts.shape)
    if rng.random() < 0.2:
        counts[rng.random(counts.shape) < 0.2] = NAN
    return bounds, counts, rng.random(counts.shape) < 0.8


def buckets_at(step, bounds, counts, present):
    here = present[:, step]
    return list(zip(bounds[here].tolist(), counts[here, step].tolist(), strict=True))


@pytest.mark.parametrize("seed", range(200))
def test_quantile_kernel_agrees_with_its_reference(seed):
    rng = np.random.default_rng(seed)
    bounds, counts, present = random_histogram(rng, 12)
    q = rng.choice([0, 0.1, 0.5, 0.9, 1, -1, 2, NAN], 12)

    found = classic_quantile(q, bounds, counts, present)

    for step in range(12):
        buckets = buckets_at(step, bounds, counts, present)
        assert found.present[step] == bool(buckets)
        if not buckets:
            continue
        expected = bucket_quantile(float(q[step]), buckets)
        assert found.values[step] == pytest.approx(expected.value, rel=1e-12, abs=0, nan_ok=True)
        assert found.forced[step] == expected.forced
        if expected.forced:
            assert found.least_bound[step] == expected.least_bound
            assert found.greatest_bound[step] == expected.greatest_bound
            assert found.greatest_diff[step] == expected.greatest_diff


@pytest.mark.parametrize("seed", range(200))
def test_fraction_kernel_agrees_with_its_reference(seed):
    rng = np.random.default_rng(seed)
    bounds, counts, present = random_histogram(rng, 12)
    lower = rng.choice([-INF, -3, -1, 0, 0.3, 1, 5, NAN], 12)
    upper = rng.choice([INF, -3, -1, 0, 0.3, 1, 5, NAN], 12)

    values, there = classic_fraction(lower, upper, bounds, counts, present)

    for step in range(12):
        buckets = buckets_at(step, bounds, counts, present)
        assert there[step] == bool(buckets)
        if buckets:
            expected = bucket_fraction(float(lower[step]), float(upper[step]), buckets)
            assert values[step] == pytest.approx(expected, rel=1e-12, abs=0, nan_ok=True)


def test_no_buckets_at_all():
    none = np.zeros((0, 2))
    found = classic_quantile(np.full(2, 0.5), np.zeros(0), none, none.astype(bool))
    assert not found.present.any()
    _, there = classic_fraction(np.zeros(2), np.ones(2), np.zeros(0), none, none.astype(bool))
    assert not there.any()
