from __future__ import annotations

import numpy as np
import pytest
from tidegauge.errors import InvalidInput, QueryFailed
from tidegauge.model.stale import STALE_NAN

STALE = float(STALE_NAN[0])


def test_instant_selector_leaves_out_a_sample_exactly_as_old_as_the_lookback(asker):
    ask = asker({"x": [1]})

    assert ask.instant("x", 299.999) == {"x{}": 1}
    assert ask.instant("x", 300) == {}


def test_stale_marker_ends_a_series_at_once(asker):
    loaded = asker({"x": [1, 2]})
    (labels,) = loaded.reader.series
    loaded.reader.series = {labels: [(0, 1.0), (60_000, STALE), (120_000, 3.0)]}

    assert loaded.range("x", 0, 120, 30) == {"x{}": [1, 1, None, None, 3]}
    assert loaded.instant("count_over_time(x[3m])", 120) == {"{}": 2}


def test_nan_is_a_value_like_any_other(asker):
    value = asker({"x": [float("nan")]}).instant("x", 10)

    assert np.isnan(value["x{}"])


def test_offset_shifts_the_data_both_ways(asker):
    ask = asker({"x": [0, 1, 2, 3]})

    assert ask.range("x offset 1m", 60, 180, 60) == {"x{}": [0, 1, 2]}
    assert ask.range("x offset -1m", 0, 120, 60) == {"x{}": [1, 2, 3]}


def test_at_pins_the_data_time_whatever_the_order_of_offset(asker):
    ask = asker({"x": [0, 1, 2, 3]})

    assert ask.range("x @ 120 offset 1m", 0, 60, 60) == {"x{}": [1, 1]}
    assert ask.range("x offset 1m @ 120", 0, 60, 60) == {"x{}": [1, 1]}


def test_at_start_and_end_mean_the_outer_query_inside_a_subquery_too(asker):
    ask = asker({"x": [0, 1, 2, 3]})

    assert ask.range("x @ end() - x @ start()", 60, 180, 60) == {"{}": [2, 2, 2]}
    assert ask.range("sum_over_time(x @ end()[2m:1m])", 120, 180, 60) == {"{}": [6, 6]}


def test_what_is_pinned_is_read_for_one_step_only(asker):
    ask = asker({"x": [0, 1, 2, 3]})

    ask.range("sum(x @ 60) + x", 0, 180, 60)

    assert [(start, end) for start, end, _ in ask.reader.asked] == [
        (60_000 - 300_000 + 1, 60_000),
        (-300_000 + 1, 180_000),
    ]


def test_the_same_selection_is_read_once(asker):
    ask = asker({"x": [0, 1]})

    result = ask.result("x + x * x", 0, 60, 60)

    assert len(ask.reader.asked) == 1
    assert result.samples_read == 2


def test_range_selector_is_open_on_its_left(asker):
    ask = asker({"x": [0, 1, 2, 3]})

    assert ask.matrix("x[2m]", 180) == {"x{}": [(120, 2), (180, 3)]}
    assert ask.instant("sum_over_time(x[2m])", 180) == {"{}": 5}


def test_range_selector_tells_the_reader_its_function_and_range(asker):
    ask = asker({"x_total": [0, 1, 2, 3]})

    ask.range("rate(x_total[2m])", 120, 180, 60)

    start_ms, end_ms, hints = ask.reader.asked[0]
    assert (start_ms, end_ms) == (1, 180_000)
    assert (hints.func, hints.step_ms, hints.range_ms) == ("rate", 60_000, 120_000)


def test_subquery_steps_are_absolute_multiples_of_its_step(asker):
    ask = asker({"x": [0, 1, 2, 3]})

    assert ask.matrix("x[100s:30s]", 130) == {
        "x{}": [(60, 1), (90, 1), (120, 2)],
    }


def test_subquery_grid_reaches_into_negative_times(asker):
    ask = asker({})

    assert ask.matrix("vector(1)[90s:1m]", 10) == {"{}": [(-60, 1), (0, 1)]}


def test_subquery_without_a_step_takes_the_configured_one(asker):
    ask = asker({"x": [0, 1, 2, 3]}, subquery_step_ms=90_000)

    assert ask.matrix("x[3m:]", 180) == {"x{}": [(90, 1), (180, 3)]}


def test_subquery_in_a_range_query_has_a_window_for_each_step(asker):
    ask = asker({"x": [0, 1, 2, 3, 4, 5]})

    assert ask.range("max_over_time((x + 1)[2m:1m])", 0, 300, 100) == {"{}": [1, 2, 4, 6]}
    assert ask.range("sum_over_time(x[2m:1m] offset 1m)", 180, 240, 60) == {"{}": [3, 5]}
    assert ask.range("sum_over_time(x[2m:1m] @ 120)", 0, 60, 60) == {"{}": [3, 3]}


def test_subquery_with_too_many_steps_is_refused(asker):
    ask = asker({}, max_points=10)

    with pytest.raises(QueryFailed, match="subquery needs 60 points"):
        ask.instant("sum_over_time(vector(1)[1m:1s])", 0)


def test_duration_expressions_know_step_and_range_of_the_query(asker):
    ask = asker({"x": list(range(20))})

    assert ask.range("count_over_time(x[step() * 2])", 600, 720, 60) == {"{}": [2, 2, 2]}
    assert ask.range("x offset (range() / 2)", 600, 720, 60) == {"x{}": [9, 10, 11]}
    assert ask.range("x offset -min_of(1m, 2m)", 600, 600, 60) == {"x{}": [11]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate(x[1m-2m])", "duration must be greater than 0"),
        ("rate(x[1m/(1m-60)])", "division by zero"),
        ("rate(x[1m%(1m-60)])", "modulo by zero"),
        ("rate(x[step()])", "duration must be greater than 0"),
    ],
)
def test_duration_without_a_usable_value_is_refused(asker, text, message):
    with pytest.raises(InvalidInput, match=message):
        asker({}).instant(text, 0)


def test_range_vector_has_no_value_over_a_range(asker):
    with pytest.raises(QueryFailed, match='invalid expression type "range vector"'):
        asker({}).range("x[5m]", 0, 60, 60)


def test_smoothed_and_anchored_selectors(asker):
    ask = asker({"x_total": [0, 10, 20, 30, 40]})

    assert ask.instant("x_total smoothed", 90) == {"x_total{}": 15}
    assert ask.instant("increase(x_total[90s] smoothed)", 150) == {"{}": 15}
    assert ask.instant("increase(x_total[90s] anchored)", 150) == {"{}": 10}
    with pytest.raises(QueryFailed, match="anchored modifier can only be used with: changes"):
        ask.instant("deriv(x_total[90s] anchored)", 150)
