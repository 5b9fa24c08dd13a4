"""Native histograms added, subtracted, scaled and summed."""

from __future__ import annotations

import pytest
from hypothesis import given
from tidegauge.model.histogram import Histogram, ResetHint
from tidegauge.promql.native.arithmetic import (
    IncompatibleHistograms,
    add,
    divide,
    multiply,
    subtract,
)
from tidegauge.promql.native.totals import find_incompatible, mean_of, total_of

from tests.unit.promql_native.histograms import exponential, make, total_in_buckets


@given(exponential(), exponential())
def test_a_sum_holds_what_both_hold_whichever_comes_first(one: Histogram, other: Histogram):
    there, back = add(one, other).histogram, add(other, one).histogram

    assert there.compact().same_as(back.compact())
    assert total_in_buckets(there) == total_in_buckets(one) + total_in_buckets(other)
    assert there.schema == min(one.schema, other.schema)
    assert there.zero_threshold >= max(one.zero_threshold, other.zero_threshold)


@given(exponential())
def test_what_is_added_and_taken_away_again_leaves_nothing(one: Histogram):
    left = subtract(add(one, one).histogram, one).histogram

    assert left.compact().same_as(one.compact())
    assert total_in_buckets(subtract(one, one).histogram) == 0


@given(exponential())
def test_twice_a_histogram_is_it_added_to_itself(one: Histogram):
    assert multiply(one, 2.0).same_as(add(one, one).histogram)
    assert divide(multiply(one, 4.0), 4.0).same_as(one)


def test_a_zero_bucket_takes_in_the_filled_bucket_in_which_it_would_end():
    wide = make("count:3 z_bucket:3 z_bucket_w:0.6")
    narrow = make("count:5 offset:-1 buckets:[2 3]")

    summed = add(wide, narrow).histogram

    # (0.25, 0.5] is within, and (0.5, 1] would be cut by the threshold of 0.6.
    assert (summed.zero_threshold, summed.zero_count) == (1.0, 8.0)
    assert len(summed.compact().positive) == 0


def test_custom_bounds_are_cut_to_those_of_both():
    one = make("schema:-53 count:6 custom_values:[1 2 4] buckets:[1 2 3]")
    other = make("schema:-53 count:9 custom_values:[2 3 4] buckets:[4 5]")

    combined = add(one, other)

    assert combined.bounds_reconciled
    assert combined.histogram.bounds == (2.0, 4.0)
    assert combined.histogram.positive.counts.tolist() == [7.0, 8.0]


def test_exponential_and_custom_buckets_cannot_be_added():
    custom = make("schema:-53 count:1 custom_values:[1] buckets:[1]")

    with pytest.raises(IncompatibleHistograms, match="mix of exponential and custom"):
        add(make("count:1 buckets:[1]"), custom)
    assert find_incompatible([custom, custom, make("count:1")]) == 2


def test_hints_that_contradict_each_other_are_told():
    reset, none = (make("count:1").with_hint(one) for one in (ResetHint.RESET, ResetHint.NOT_RESET))

    combined = add(reset, none)

    assert combined.hints_collide
    assert combined.histogram.hint is ResetHint.UNKNOWN
    assert multiply(none, -1.0).hint is ResetHint.GAUGE


def test_a_sum_does_not_lose_what_is_small():
    large, small = make("count:1e17 sum:1e17 buckets:[1e17]"), make("count:1 sum:1 buckets:[1]")

    total = total_of([large, small, small, multiply(large, -1.0)]).histogram

    assert (total.count, total.sum) == (2.0, 2.0)
    assert total.compact().positive.counts.tolist() == [2.0]


def test_a_mean_survives_a_sum_that_overflows():
    huge = make("count:1.5e308 sum:1.5e308 buckets:[1.5e308]")

    mean = mean_of([huge, huge, huge]).histogram

    assert mean.count == pytest.approx(1.5e308)
    assert mean.positive.counts.tolist() == pytest.approx([1.5e308])
