from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidegauge.errors import QueryFailed
from tidegauge.promql.engine.aggregate import quantile_of_columns
from tidegauge.promql.engine.grouping import group_series
from tidegauge.promql.engine.heaps import largest_on_heap, rank_like_go
from tidegauge.promql.engine.sums import close_sums, group_means, group_sums
from tidegauge.promql.engine.vectors import make_vector
from tidegauge.promql.kernels.reference import Window, avg_over_time, quantile, sum_over_time

NAN, INF = math.nan, math.inf
FLEET = {
    'up{job="a",i="1"}': [1, 2],
    'up{job="a",i="2"}': [3, None],
    'up{job="b",i="1"}': [5, 6],
}


def test_every_simple_aggregation(asker):
    ask = asker(FLEET)

    def of(op: str) -> object:
        return ask.instant(f"{op} by (job) (up)")

    assert of("sum") == {"{job=a}": 4, "{job=b}": 5}
    assert of("avg") == {"{job=a}": 2, "{job=b}": 5}
    assert of("min") == {"{job=a}": 1, "{job=b}": 5}
    assert of("max") == {"{job=a}": 3, "{job=b}": 5}
    assert of("count") == {"{job=a}": 2, "{job=b}": 1}
    assert of("group") == {"{job=a}": 1, "{job=b}": 1}
    assert of("stdvar") == {"{job=a}": 1, "{job=b}": 0}
    assert of("stddev") == {"{job=a}": 1, "{job=b}": 0}


def test_without_drops_the_name_too(asker):
    assert asker(FLEET).instant("sum without (i) (up)") == {"{job=a}": 4, "{job=b}": 5}
    assert asker(FLEET).instant("sum without () (up)") == {
        "{i=1,job=a}": 1,
        "{i=2,job=a}": 3,
        "{i=1,job=b}": 5,
    }


def test_grouping_by_a_missing_label_omits_it(asker):
    assert asker(FLEET).instant("sum by (job, nope) (up)") == {"{job=a}": 4, "{job=b}": 5}


def test_a_group_is_absent_where_none_of_its_series_is_present(asker):
    ask = asker({'x{g="1"}': [1, None, 3], 'x{g="2"}': [1, 2, 3]}, lookback_ms=30_000)

    assert ask.range("sum by (g) (x)", 0, 120, 60) == {"{g=1}": [1, None, 3], "{g=2}": [1, 2, 3]}
    assert ask.range("count(x)", 0, 120, 60) == {"{}": [2, 1, 2]}


def test_nothing_aggregated_is_nothing(asker):
    assert asker({}).instant("sum(nope)") == {}
    assert asker({}).instant("topk(1, nope)") == {}


def test_sum_is_compensated(asker):
    ask = asker({'x{i="1"}': [1e100], 'x{i="2"}': [1], 'x{i="3"}': [-1e100]})

    assert ask.instant("sum(x)") == {"{}": 1}
    assert ask.instant("avg(x)") == {"{}": 1 / 3}


def test_average_survives_an_overflowing_sum(asker):
    ask = asker({'x{i="1"}': [1.7e308], 'x{i="2"}': [1.7e308]})

    assert ask.instant("sum(x)") == {"{}": INF}
    assert ask.instant("avg(x)")["{}"] == pytest.approx(1.7e308)


def test_min_and_max_ignore_nan_unless_there_is_nothing_else(asker):
    ask = asker({'x{i="1"}': [NAN], 'x{i="2"}': [2]})

    assert ask.instant("min(x)") == {"{}": 2}
    assert ask.instant("max(x)") == {"{}": 2}
    assert math.isnan(ask.instant('max(x{i="1"})')["{}"])


def test_quantile_counts_nan_as_smallest_and_warns_of_odd_parameters(asker):
    ask = asker({'x{i="1"}': [NAN], 'x{i="2"}': [2], 'x{i="3"}': [4]})

    assert ask.instant("quantile(1, x)") == {"{}": 4}
    assert ask.instant("quantile(0.75, x)") == {"{}": 3}
    assert math.isnan(ask.instant("quantile(0, x)")["{}"])
    assert ask.instant("quantile(2, x)") == {"{}": INF}
    assert ask.notes("quantile(2, x)", 0) == [
        "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"
    ]


def test_quantile_over_a_range_warns_of_the_worst_parameters(asker):
    ask = asker({"x": [1, 1, 1], "q": [-2, 3, 5], "n": [5, NAN, 1], "i": [INF, NAN, 1]})

    def said(text: str) -> list[str]:
        return [note.split("got ")[1] for note in ask.notes(text, 0, 120, 60)]

    assert said("quantile(scalar(q), x)") == ["5 (1:10)", "-2 (1:10)"]
    assert said("quantile(scalar(n), x)") == ["NaN (1:10)"]
    assert said("quantile(scalar(i), x)") == ["NaN (1:10)", "+Inf (1:10)"]


def test_count_values_spells_numbers_like_go(asker):
    ask = asker({'x{i="1"}': [1e20, 1], 'x{i="2"}': [0.5, 1], 'x{i="3"}': [0.5, NAN]})

    assert ask.instant('count_values("v", x)') == {"{v=0.5}": 2, "{v=100000000000000000000}": 1}
    assert ask.range('count_values("v", x)', 60, 60, 60) == {"{v=1}": [2], "{v=NaN}": [1]}
    assert ask.instant('count_values without (i) ("i", x)') == {"{}": 3}
    zeros = asker({'x{i="1"}': [0.0], 'x{i="2"}': [-0.0], 'x{i="3"}': [NAN], 'x{i="4"}': [-NAN]})
    assert zeros.instant('count_values("v", x)') == {"{v=0}": 1, "{v=-0}": 1, "{v=NaN}": 2}


def test_count_values_of_too_many_points_is_refused(asker):
    ask = asker({'x{i="1"}': [1, 2]}, max_points=3)

    with pytest.raises(QueryFailed, match="count_values needs 4 points"):
        ask.range('count_values("v", x)', 0, 60, 60)


def test_topk_is_ranked_at_an_instant_and_chosen_per_step_over_a_range(asker):
    ask = asker({'x{i="1"}': [1, 9], 'x{i="2"}': [2, 2], 'x{i="3"}': [3, 1], 'x{i="4"}': [NAN, 0]})

    assert list(ask.instant("topk(2, x)")) == ["x{i=3}", "x{i=2}"]
    assert list(ask.instant("bottomk(2, x)")) == ["x{i=1}", "x{i=2}"]
    assert list(ask.instant("topk(9, x)")) == ["x{i=3}", "x{i=2}", "x{i=1}", "x{i=4}"]
    assert ask.range("topk(2, x)", 0, 60, 60) == {
        "x{i=1}": [None, 9],
        "x{i=2}": [2, 2],
        "x{i=3}": [3, None],
    }


def test_topk_takes_its_parameter_at_each_step(asker):
    ask = asker({'x{i="1"}': [1, 1], 'x{i="2"}': [2, 2], "k": [0, 2]})

    assert ask.range("topk(scalar(k), x)", 0, 60, 60) == {"x{i=1}": [None, 1], "x{i=2}": [None, 2]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topk(NaN, x)", "Parameter value is NaN"),
        ("limitk(1e19, x)", r"Scalar value 1e\+19 overflows int64"),
        ("limit_ratio(NaN, x)", "Ratio value is NaN"),
        ('count_values("", x)', 'invalid label name ""'),
    ],
)
def test_unusable_parameters_are_refused(asker, text, message):
    with pytest.raises(QueryFailed, match=message):
        asker({"x": [1]}).instant(text)


def test_ties_are_kept_as_the_heap_keeps_them(asker):
    ask = asker({f'x{{i="{i}"}}': [value, value] for i, value in enumerate([1, 1, 2])})

    # The third one takes the place of the first, which lies on top of the heap.
    assert ask.range("topk(2, x)", 0, 60, 60) == {"x{i=1}": [1, 1], "x{i=2}": [2, 2]}
    assert ask.instant("topk(2, x)") == {"x{i=2}": 2, "x{i=1}": 1}


def test_limitk_takes_the_first_of_each_group(asker):
    ask = asker({f'x{{i="{i}",g="{i % 2}"}}': [i] for i in range(6)})

    assert ask.instant("limitk by (g) (1, x)") == {"x{g=0,i=0}": 0, "x{g=1,i=1}": 1}


def test_limit_ratio_and_its_complement_share_the_series(asker):
    ask = asker({f'x{{i="{i}"}}': [i] for i in range(100)})

    some, others = ask.instant("limit_ratio(0.3, x)"), ask.instant("limit_ratio(-0.7, x)")

    assert 10 < len(some) < 50
    assert len(some) + len(others) == 100
    assert not some.keys() & others.keys()
    assert ask.notes("limit_ratio(1.5, x)", 0) == [
        "PromQL warning: ratio value should be between -1 and 1, got 1.5, capping to 1 (1:13)"
    ]


numbers = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-3, 3).map(float))


@settings(deadline=None, max_examples=200)
@given(st.data(), st.integers(1, 8), st.integers(1, 3), st.integers(1, 3))
def test_sums_and_means_agree_with_one_cell_at_a_time(data, series, steps, groups):
    values = np.array(
        data.draw(st.lists(numbers, min_size=series * steps, max_size=series * steps))
    )
    values = values.reshape(series, steps)
    present = np.array(
        data.draw(st.lists(st.booleans(), min_size=series * steps, max_size=series * steps))
    ).reshape(series, steps)
    labels = [(("g", str(row % groups)),) for row in range(series)]
    grouped = group_series(labels, ("g",), False)
    vector = make_vector(labels, values, present)
    counts = np.zeros((grouped.count, steps))
    np.add.at(counts, grouped.ids, present)

    with np.errstate(all="ignore"):
        sums = close_sums(*group_sums(vector, grouped))
        means = group_means(vector, grouped, np.maximum(counts, 1))

    for group in range(grouped.count):
        for step in range(steps):
            rows = [row for row in grouped.rows(group) if present[row, step]]
            if rows:
                cell = values[rows, step].tolist()
                window = Window([0] * len(cell), cell, 0, 0, 0, ())
                np.testing.assert_array_equal(sums[group, step], sum_over_time(window))
                np.testing.assert_array_equal(means[group, step], avg_over_time(window))


def test_long_groups_at_one_step_are_summed_exactly():
    values = np.tile([1e100, 1.0, -1e100, 1.0], 100).reshape(-1, 1)
    labels = [()] * 400
    vector = make_vector(labels, values, np.ones(values.shape, bool))

    assert close_sums(*group_sums(vector, group_series(labels, (), False))).tolist() == [[200.0]]


@settings(deadline=None, max_examples=200)
@given(st.lists(numbers, min_size=1, max_size=12), st.floats(-0.5, 1.5))
def test_quantile_of_columns_agrees_with_the_reference(values, q):
    column = np.array(values).reshape(-1, 1)

    with np.errstate(all="ignore"):
        got = quantile_of_columns(column, np.ones(column.shape, bool), np.array([q]))

    np.testing.assert_array_equal(got[0], quantile(q, values))


@settings(deadline=None, max_examples=300)
@given(st.lists(numbers, max_size=30), st.integers(1, 14))
def test_heap_keeps_the_largest_and_ranks_them(keys, wanted):
    heap = largest_on_heap(keys, wanted)

    def rank(key: float) -> tuple[bool, float]:
        return math.isnan(key), 0.0 if math.isnan(key) else -key

    best = sorted(rank(key) for key in keys)[:wanted]
    assert [rank(keys[position]) for position in rank_like_go(keys, heap)] == best


@pytest.mark.parametrize("op", ["sum", "avg", "min", "max", "count", "stddev", "stdvar"])
def test_thousands_of_series_at_an_instant_give_what_a_range_gives(asker, op):
    rng = np.random.default_rng(7)
    ask = asker({
        f'x{{i="{i}",g="{i % 2}"}}': [NAN if rng.random() < 0.01 else rng.normal()] * 2
        if rng.random() < 0.9 else [None, rng.normal()]
        for i in range(600)
    })  # fmt: skip

    instant = ask.instant(f"{op} by (g) (x)")
    over_range = ask.range(f"{op} by (g) (x)", 0, 6_000, 60)

    first = {name: values[0] for name, values in over_range.items()}
    assert first == pytest.approx(instant, rel=1e-12, nan_ok=True)
