"""Quantiles, fractions, moments, resets and trimming of native histograms."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tidegauge.model.histogram import Histogram, ResetHint, exponential_bound
from tidegauge.promql.native.arithmetic import add
from tidegauge.promql.native.conversion import convert_classic
from tidegauge.promql.native.moments import variance_of_observations
from tidegauge.promql.native.quantiles import Doubt, fraction_of, quantile_of
from tidegauge.promql.native.resets import is_reset
from tidegauge.promql.native.texts import format_histogram
from tidegauge.promql.native.trimming import trim

from tests.unit.promql_native.histograms import exponential, make, total_in_buckets


@given(exponential(), st.floats(0.05, 0.95))
def test_the_fraction_below_a_quantile_is_that_quantile(one: Histogram, q: float):
    assume(one.count > 0)
    value, _ = quantile_of(q, one)
    assume(abs(value) > one.zero_threshold > 0)

    fraction, _ = fraction_of(-math.inf, value, one)

    assert fraction == pytest.approx(q, abs=1e-6)


@given(exponential(), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_quantiles_rise(one: Histogram, wanted: list[float]):
    assume(one.count > 0)
    found = [quantile_of(q, one)[0] for q in sorted(wanted)]

    assert all(before <= after + 1e-9 * abs(after) for before, after in pairwise(found))


def test_quantiles_outside_and_of_nothing():
    one = make("count:2 buckets:[2]")

    assert quantile_of(-0.1, one)[0] == -math.inf
    assert quantile_of(1.1, one)[0] == math.inf
    assert math.isnan(quantile_of(0.5, make("count:0"))[0])


def test_observations_of_nan_are_told_of():
    with_nan = make("sum:NaN count:4 buckets:[2]")

    assert quantile_of(0.25, with_nan)[1] is Doubt.SKEWED
    assert quantile_of(0.9, with_nan)[1] is Doubt.NAN_RESULT
    assert fraction_of(0, 1, with_nan) == (0.5, Doubt.EXCLUDED)


@pytest.mark.parametrize(
    ("index", "schema", "bound"),
    [(0, 0, 1.0), (3, 0, 8.0), (1, 1, math.sqrt(2)), (-1, -1, 0.25), (1, -4, 65536.0)],
)
def test_bounds_of_buckets(index: int, schema: int, bound: float):
    assert exponential_bound(index, schema) == pytest.approx(bound)


def test_the_last_buckets_end_at_the_greatest_number_and_at_infinity():
    assert exponential_bound(1024, 0) == 1.7976931348623157e308
    assert exponential_bound(1025, 0) == math.inf


@given(exponential(), exponential())
def test_growth_is_no_reset_and_shrinking_is_one(one: Histogram, more: Histogram):
    assume(more.count > 0)
    grown = add(one, more).histogram

    assert is_reset(one, grown)
    assume(grown.schema == one.schema and grown.zero_threshold == one.zero_threshold)
    assert not is_reset(grown, one)


def test_a_hint_is_believed():
    one = make("count:5 buckets:[5]")

    assert is_reset(one.with_hint(ResetHint.RESET), one)
    assert not is_reset(make("count:1").with_hint(ResetHint.NOT_RESET), one)


def test_a_reset_shows_in_a_single_bucket():
    assert is_reset(make("count:5 buckets:[1 4]"), make("count:5 buckets:[2 3]"))


@given(exponential(), st.sampled_from([-300.0, -0.7, 0.0, 0.3, 1.0, 5.0, 300.0]))
def test_both_parts_of_a_trimmed_histogram_make_up_the_whole(one: Histogram, value: float):
    below, above = (trim(one, value, keep_below=keep) for keep in (True, False))

    assert total_in_buckets(below) + total_in_buckets(above) == pytest.approx(one.count)


def test_the_variance_of_one_bucket_is_its_distance_from_the_mean():
    # All four in (1, 2], whose middle on a logarithmic scale is the square root of 2.
    assert variance_of_observations(make("count:4 sum:4 offset:1 buckets:[4]")) == pytest.approx(
        (math.sqrt(2) - 1) ** 2
    )


def test_a_classic_histogram_becomes_one_with_custom_buckets():
    found = convert_classic({1.0: 2.0, 5.0: 3.0, math.inf: 7.0}, count=None, total=9.0)

    assert found is not None
    assert found.bounds == (1.0, 5.0)
    assert found.positive.counts.tolist() == [2.0, 1.0, 4.0]
    assert convert_classic({1.0: 2.0, 5.0: 1.0}, count=3.0, total=0.0) is None


def test_a_histogram_is_printed_as_prometheus_does():
    text = "count:9 sum:2 z_bucket:1 z_bucket_w:0.5 buckets:[2 0 1] n_buckets:[5]"

    assert format_histogram(make(text)) == (
        "{count:9, sum:2, [-1,-0.5):5, [-0.5,0.5]:1, (0.5,1]:2, (2,4]:1}"
    )
