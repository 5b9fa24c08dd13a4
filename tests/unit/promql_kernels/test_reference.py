"""The scalar references against values worked out by hand or given by Prometheus's scripts."""

from __future__ import annotations

import math

import pytest
from tidegauge.promql.kernels.reference import REFERENCES, Window, divide, quantile

INF, NAN = math.inf, math.nan


def evaluate(name, samples, start_ms=0, end_ms=60_000, params=(), eval_ms=None):
    times_ms, values = zip(*samples, strict=True)
    window = Window(times_ms, values, start_ms, end_ms, eval_ms or end_ms, params)
    return REFERENCES[name](window)


def every(step_ms, values, first_ms=None):
    first_ms = step_ms if first_ms is None else first_ms
    return [(first_ms + step_ms * index, float(value)) for index, value in enumerate(values)]


@pytest.mark.parametrize("name", ["rate", "increase", "delta", "irate", "idelta", "deriv"])
def test_one_sample_has_no_difference(name):
    assert evaluate(name, [(30_000, 1.0)]) is None


def test_increase_is_extrapolated_to_both_limits():
    # 10 s apart, from 10 s to 50 s in a window from 0 to 60 s: 40 s become 60 s.
    assert evaluate("increase", every(10_000, [100, 110, 120, 130, 140])) == pytest.approx(60)
    assert evaluate("rate", every(10_000, [100, 110, 120, 130, 140])) == pytest.approx(1)


def test_extrapolation_stops_half_an_interval_beyond_a_far_sample():
    # From 20 s on, both ends are 20 s away, more than 11 s: 20 s become 5 + 20 + 5.
    samples = every(10_000, [100, 110, 120], first_ms=20_000)
    assert evaluate("delta", samples) == pytest.approx(30)


def test_extrapolation_does_not_go_below_zero():
    # The counter was zero 5 s before its first sample, so 40 s become 5 + 40 + 10.
    assert evaluate("increase", every(10_000, [5, 15, 25, 35, 45])) == pytest.approx(55)
    assert evaluate("delta", every(10_000, [5, 15, 25, 35, 45])) == pytest.approx(60)


def test_increase_counts_a_fall_as_a_restart_from_zero():
    # 40 - 100 + what was reached before: 120.
    samples = every(10_000, [100, 110, 120, 20, 40])
    assert evaluate("increase", samples) == pytest.approx(60 * 1.5)
    assert evaluate("delta", samples) == pytest.approx(-60 * 1.5)


def test_instant_differences_take_the_last_two_samples():
    samples = [(0, 5.0), (10_000, 10.0), (14_000, 16.0)]
    assert evaluate("idelta", samples) == 6
    assert evaluate("irate", samples) == 1.5
    assert evaluate("irate", [(0, 10.0), (4_000, 2.0)]) == 0.5


def test_sums_keep_what_rounding_loses():
    samples = every(1_000, [1, 1e100, 1, -1e100])
    assert evaluate("sum_over_time", samples) == 2
    assert evaluate("avg_over_time", samples) == 0.5


def test_mean_of_numbers_whose_sum_overflows():
    samples = every(1_000, [1.79e308, 1.79e308, 1.79e308])
    assert evaluate("sum_over_time", samples) == INF
    assert evaluate("avg_over_time", samples) == pytest.approx(1.79e308)


@pytest.mark.parametrize(
    ("values", "total"), [([INF, 1], INF), ([-INF, 1], -INF), ([INF, -INF], NAN), ([NAN, 1], NAN)]
)
def test_infinities_and_nan_in_sums(values, total):
    for name in ("sum_over_time", "avg_over_time"):
        result = evaluate(name, every(1_000, values))
        assert result == total or (math.isnan(result) and math.isnan(total))


def test_extremes_ignore_nan_unless_there_is_nothing_else():
    samples = every(1_000, [NAN, 3, 1, NAN, 3, 1, 2])
    assert evaluate("max_over_time", samples) == 3
    assert evaluate("min_over_time", samples) == 1
    assert evaluate("ts_of_max_over_time", samples) == 5
    assert evaluate("ts_of_min_over_time", samples) == 6
    assert math.isnan(evaluate("max_over_time", every(1_000, [NAN, NAN])))
    assert evaluate("ts_of_max_over_time", every(1_000, [NAN, NAN])) == 2


def test_edges_and_counts():
    samples = every(1_000, [4, 8, 2])
    assert evaluate("first_over_time", samples) == 4
    assert evaluate("last_over_time", samples) == 2
    assert evaluate("ts_of_first_over_time", samples) == 1
    assert evaluate("ts_of_last_over_time", samples) == 3
    assert evaluate("count_over_time", samples) == 3
    assert evaluate("present_over_time", samples) == 1


def test_changes_and_resets():
    samples = every(1_000, [1, 1, NAN, NAN, 2, 1, 0])
    assert evaluate("changes", samples) == 4
    assert evaluate("resets", samples) == 2


def test_spread():
    samples = every(1_000, [2, 4, 4, 4, 5, 5, 7, 9])
    assert evaluate("stdvar_over_time", samples) == pytest.approx(4)
    assert evaluate("stddev_over_time", samples) == pytest.approx(2)
    assert evaluate("stddev_over_time", every(1_000, [1.5990505637277868] * 3)) == 0
    assert math.isnan(evaluate("stddev_over_time", [(0, INF)]))


def test_quantiles_interpolate_and_take_nan_for_the_smallest():
    assert quantile(0.75, [0, 1, 2, 3, 4]) == 3
    assert quantile(0.8, [0, 1, 2, 3, 4]) == pytest.approx(3.2)
    assert math.isnan(quantile(0, [1, NAN, -INF]))
    assert quantile(0.5, [1, NAN, 2]) == 1
    assert (quantile(-1, [1]), quantile(2, [1])) == (-INF, INF)
    assert math.isnan(quantile(NAN, [1]))
    assert math.isnan(quantile(0.5, []))


def test_median_absolute_deviation():
    assert evaluate("mad_over_time", every(1_000, [4, 6, 2, 1, 999, 1, 2])) == 1
    assert math.isnan(evaluate("mad_over_time", every(1_000, [1, NAN, 2])))


def test_regression_over_a_straight_line():
    samples = every(10_000, [0, 10, 20, 30, 40])
    assert evaluate("deriv", samples) == pytest.approx(1)
    # At 60 s the line has 50; 600 s later 650.
    assert evaluate("predict_linear", samples, params=(600.0,)) == pytest.approx(650)
    # It is predicted from the evaluation, wherever the window lies.
    assert evaluate("predict_linear", samples, params=(0.0,), eval_ms=160_000) == pytest.approx(150)


def test_regression_over_equal_values():
    samples = every(10_000, [0.1] * 7)
    assert evaluate("deriv", samples) == 0
    assert evaluate("predict_linear", samples, params=(100.0,)) == 0.1
    assert math.isnan(evaluate("deriv", every(10_000, [INF, INF])))


def test_double_exponential_smoothing():
    # A straight line is followed exactly, whatever the factors.
    samples = every(10_000, range(0, 100, 10))
    assert evaluate("double_exponential_smoothing", samples, params=(0.01, 0.1)) == pytest.approx(
        90
    )
    # Second: trend 3, value 0.5*4 + 0.5*(1 + 3) = 4. Third: trend 0.5*(4 - 1) + 0.5*3 = 3,
    # value 0.5*2 + 0.5*(4 + 3) = 4.5.
    assert evaluate("double_exponential_smoothing", every(1_000, [1, 4, 2]), params=(0.5, 0.5)) == (
        4.5
    )


@pytest.mark.parametrize(
    ("numerator", "denominator", "result"),
    [(1.0, 4.0, 0.25), (1.0, 0.0, INF), (1.0, -0.0, -INF), (-1.0, 0.0, -INF), (0.0, 0.0, NAN)],
)
def test_division_never_raises(numerator, denominator, result):
    quotient = divide(numerator, denominator)
    assert quotient == result or (math.isnan(quotient) and math.isnan(result))
