"""Every range function over one window in plain Python: the authority for the array kernels.

Each mirrors the arithmetic of Prometheus 3.14 step by step (`promql/functions.go`,
`util/kahansum`), so that results agree to the last bits. A function gets the samples of one
window and returns its value, or None where the series has no result there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Window:
    """The samples of one window, at least one, and its frame.

    Args:
        times_ms: Unix ms, strictly rising.
        values: as many, without stale markers.
        start_ms, end_ms: the window's limits in the data, the start exclusive.
        eval_ms: the step of the query.
        params: the scalar arguments of the function at this step.
    """

    times_ms: Sequence[int]
    values: Sequence[float]
    start_ms: int
    end_ms: int
    eval_ms: int
    params: Sequence[float] = ()


def add_compensated(term: float, total: float, lost: float) -> tuple[float, float]:
    """Add a term to a running total and return the new total and what rounding has lost so far.

    Source: Neumaier's form of Kahan summation; an infinite total drops what was lost.
    """
    raised = total + term
    if math.isinf(raised):
        lost = 0.0
    elif abs(total) >= abs(term):
        lost += (total - raised) + term
    else:
        lost += (term - raised) + total
    return raised, lost


def divide(numerator: float, denominator: float) -> float:
    """Divide as IEEE 754 has it: by zero gives an infinity or NaN."""
    if denominator != 0:
        return numerator / denominator
    if numerator == 0 or math.isnan(numerator) or math.isnan(denominator):
        return NAN
    return math.copysign(math.inf, numerator) * math.copysign(1.0, denominator)


def quantile(q: float, values: Sequence[float]) -> float:
    """Return the q-quantile, interpolated; NaN sorts as the smallest value."""
    if not values or math.isnan(q):
        return NAN
    if q < 0 or q > 1:
        return math.copysign(math.inf, q)
    numbers = sorted(value for value in values if not math.isnan(value))
    ordered = [NAN] * (len(values) - len(numbers)) + numbers
    rank = q * (len(ordered) - 1)
    lower = max(0, math.floor(rank))
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - math.floor(rank)
    return ordered[lower] * (1 - weight) + ordered[upper] * weight


def _extrapolated(window: Window, *, counter: bool, per_second: bool) -> float | None:
    times_ms, values = window.times_ms, window.values
    intervals = len(times_ms) - 1
    if intervals < 1:
        return None
    result = values[-1] - values[0]
    if counter:
        for previous, current in itertools.pairwise(values):
            if current < previous:
                result += previous
    to_start_s = (times_ms[0] - window.start_ms) / 1000
    to_end_s = (window.end_ms - times_ms[-1]) / 1000
    sampled_s = (times_ms[-1] - times_ms[0]) / 1000
    average_s = sampled_s / intervals
    threshold_s = average_s * 1.1
    if to_start_s >= threshold_s:
        to_start_s = average_s / 2
    if counter and result > 0 and values[0] >= 0:
        # A counter was never negative: do not extrapolate beyond the point where it was zero.
        to_zero_s = sampled_s * (values[0] / result)
        if to_zero_s < to_start_s:
            to_start_s = to_zero_s
    if to_end_s >= threshold_s:
        to_end_s = average_s / 2
    factor = (sampled_s + to_start_s + to_end_s) / sampled_s
    if per_second:
        factor /= (window.end_ms - window.start_ms) / 1000
    return result * factor


def rate(window: Window) -> float | None:
    """Return the increase per second, extrapolated to the window's limits."""
    return _extrapolated(window, counter=True, per_second=True)


def increase(window: Window) -> float | None:
    """Return the increase of a counter, extrapolated to the window's limits."""
    return _extrapolated(window, counter=True, per_second=False)


def delta(window: Window) -> float | None:
    """Return the difference of a gauge, extrapolated to the window's limits."""
    return _extrapolated(window, counter=False, per_second=False)


def irate(window: Window) -> float | None:
    """Return the increase per second between the last two samples; a drop restarts from zero."""
    if len(window.values) < 2:
        return None
    previous, last = window.values[-2:]
    result = last if last < previous else last - previous
    return result / ((window.times_ms[-1] - window.times_ms[-2]) / 1000)


def idelta(window: Window) -> float | None:
    """Return the difference of the last two samples."""
    if len(window.values) < 2:
        return None
    return window.values[-1] - window.values[-2]


def sum_over_time(window: Window) -> float:
    """Return the compensated sum."""
    total = lost = 0.0
    for value in window.values:
        total, lost = add_compensated(value, total, lost)
    return total if math.isinf(total) else total + lost


def avg_over_time(window: Window) -> float:
    """Return the mean: of the compensated sum, or step by step from where the sum overflows."""
    values = window.values
    total, lost, mean = values[0], 0.0, 0.0
    count, stepwise = 1, False
    for count, value in enumerate(values[1:], start=2):
        if not stepwise:
            raised, raised_lost = add_compensated(value, total, lost)
            if not math.isinf(raised):
                total, lost = raised, raised_lost
                continue
            stepwise = True
            mean = total / (count - 1)
            lost /= count - 1
        keep = (count - 1) / count
        mean, lost = add_compensated(value / count, keep * mean, keep * lost)
    return mean + lost if stepwise else total / count + lost / count


def _extreme(window: Window, replaces: Callable[[float, float], bool]) -> tuple[float, float]:
    chosen, chosen_ms = window.values[0], window.times_ms[0]
    for time_ms, value in zip(window.times_ms, window.values, strict=True):
        if replaces(value, chosen) or math.isnan(chosen):
            chosen, chosen_ms = value, time_ms
    return chosen, chosen_ms / 1000


def min_over_time(window: Window) -> float:
    """Return the smallest value; NaN only if there is nothing else."""
    return _extreme(window, float.__lt__)[0]


def max_over_time(window: Window) -> float:
    """Return the largest value; NaN only if there is nothing else."""
    return _extreme(window, float.__gt__)[0]


def ts_of_min_over_time(window: Window) -> float:
    """Return the time, in seconds, of the last of the smallest samples."""
    return _extreme(window, float.__le__)[1]


def ts_of_max_over_time(window: Window) -> float:
    """Return the time, in seconds, of the last of the largest samples."""
    return _extreme(window, float.__ge__)[1]


def ts_of_first_over_time(window: Window) -> float:
    """Return the time of the first sample, in seconds."""
    return window.times_ms[0] / 1000


def ts_of_last_over_time(window: Window) -> float:
    """Return the time of the last sample, in seconds."""
    return window.times_ms[-1] / 1000


def count_over_time(window: Window) -> float:
    """Return how many samples there are."""
    return float(len(window.values))


def present_over_time(window: Window) -> float:
    """Return 1."""
    return 1.0


def first_over_time(window: Window) -> float:
    """Return the first value."""
    return window.values[0]


def last_over_time(window: Window) -> float:
    """Return the last value."""
    return window.values[-1]


def stdvar_over_time(window: Window) -> float:
    """Return the population variance, by Welford's method with compensated sums."""
    mean = mean_lost = squares = squares_lost = 0.0
    for count, value in enumerate(window.values, start=1):
        distance = value - (mean + mean_lost)
        mean, mean_lost = add_compensated(distance / count, mean, mean_lost)
        squares, squares_lost = add_compensated(
            distance * (value - (mean + mean_lost)), squares, squares_lost
        )
    return (squares + squares_lost) / len(window.values)


def stddev_over_time(window: Window) -> float:
    """Return the population standard deviation."""
    variance = stdvar_over_time(window)
    return math.sqrt(variance) if variance >= 0 else NAN


def quantile_over_time(window: Window) -> float:
    """Return the quantile given by the parameter."""
    return quantile(window.params[0], window.values)


def mad_over_time(window: Window) -> float:
    """Return the median absolute deviation; NaN if any sample is."""
    if any(math.isnan(value) for value in window.values):
        return NAN
    median = quantile(0.5, window.values)
    return quantile(0.5, [abs(value - median) for value in window.values])


def changes(window: Window) -> float:
    """Return how often the value changed; from NaN to NaN is no change."""
    return float(
        sum(
            current != previous and not (math.isnan(current) and math.isnan(previous))
            for previous, current in itertools.pairwise(window.values)
        )
    )


def resets(window: Window) -> float:
    """Return how often the value fell."""
    return float(sum(current < previous for previous, current in itertools.pairwise(window.values)))


def _regression(window: Window, intercept_ms: int) -> tuple[float, float]:
    first, constant = window.values[0], True
    sum_x = sum_y = sum_xy = sum_xx = 0.0
    lost_x = lost_y = lost_xy = lost_xx = 0.0
    for index, (time_ms, y) in enumerate(zip(window.times_ms, window.values, strict=True)):
        if index and y != first:
            constant = False
        x = (time_ms - intercept_ms) / 1e3
        sum_x, lost_x = add_compensated(x, sum_x, lost_x)
        sum_y, lost_y = add_compensated(y, sum_y, lost_y)
        sum_xy, lost_xy = add_compensated(x * y, sum_xy, lost_xy)
        sum_xx, lost_xx = add_compensated(x * x, sum_xx, lost_xx)
    if constant:
        return (NAN, NAN) if math.isinf(first) else (0.0, first)
    count = len(window.values)
    sum_x, sum_y = sum_x + lost_x, sum_y + lost_y
    sum_xy, sum_xx = sum_xy + lost_xy, sum_xx + lost_xx
    slope = divide(sum_xy - sum_x * sum_y / count, sum_xx - sum_x * sum_x / count)
    return slope, sum_y / count - slope * sum_x / count


def deriv(window: Window) -> float | None:
    """Return the slope per second of the least-squares line."""
    if len(window.values) < 2:
        return None
    return _regression(window, window.times_ms[0])[0]


def predict_linear(window: Window) -> float | None:
    """Return what the least-squares line has the parameter's seconds after the evaluation."""
    if len(window.values) < 2:
        return None
    slope, intercept = _regression(window, window.eval_ms)
    return slope * window.params[0] + intercept


def double_exponential_smoothing(window: Window) -> float | None:
    """Return the last value of Holt's linear smoothing; parameters: smoothing and trend factor."""
    values = window.values
    if len(values) < 2:
        return None
    smoothing, trend_factor = window.params
    before, smoothed, trend = 0.0, values[0], values[1] - values[0]
    for index, value in enumerate(values[1:]):
        if index:
            trend = trend_factor * (smoothed - before) + (1 - trend_factor) * trend
        before, smoothed = smoothed, smoothing * value + (1 - smoothing) * (smoothed + trend)
    return smoothed


REFERENCES: dict[str, Callable[[Window], float | None]] = {
    function.__name__: function
    for function in (
        rate, increase, delta, irate, idelta,
        sum_over_time, avg_over_time, min_over_time, max_over_time,
        count_over_time, present_over_time, first_over_time, last_over_time,
        stddev_over_time, stdvar_over_time, quantile_over_time, mad_over_time,
        changes, resets, deriv, predict_linear, double_exponential_smoothing,
        ts_of_first_over_time, ts_of_last_over_time, ts_of_max_over_time, ts_of_min_over_time,
    )
}  # fmt: skip
