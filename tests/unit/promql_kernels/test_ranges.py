"""Every range function over whole columns, against its scalar reference on random series."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.kernels import ranges
from tidegauge.promql.kernels.ranges import RANGE_FUNCTIONS, apply_range_function
from tidegauge.promql.kernels.reference import REFERENCES
from tidegauge.promql.kernels.windows import Windows

# Most kernels do the reference's operations in its order. These add up in another one.
OTHER_ORDER = {"sum_over_time", "avg_over_time"}
# These also subtract nearly equal numbers, so that an error relative to the samples remains.
OTHER_FORMULA = {"stddev_over_time": 1, "stdvar_over_time": 2, "deriv": 1, "predict_linear": 1}

# Windows: how many, the step and the range in ms.
SHAPES = {
    "one window": (1, 0, 60_000),
    "range of several steps": (30, 15_000, 300_000),
    "range of many steps": (40, 15_000, 37 * 15_000),
    "range of one step": (30, 15_000, 15_000),
    "windows that share nothing": (12, 60_000, 15_000),
    "range no multiple of the step": (20, 47_000, 60_000),
    "coarse common divisor": (10, 30_000, 45_000),
    "long range, few steps": (12, 7_000, 900_000),
    "every step the same window": (9, 0, 300_000),
    "empty range": (7, 10_000, 0),
}


def nothing_to_check():
    """Stand in for a deadline that is far away."""


def make_params(name, steps, rng):
    if name == "quantile_over_time":
        return (rng.choice([0, 0.3, 0.5, 0.99, 1, -1, 2, np.nan], steps),)
    if name == "predict_linear":
        return (rng.uniform(-100, 1_000, steps),)
    if name == "double_exponential_smoothing":
        return rng.uniform(0.1, 0.9, steps), rng.uniform(0.1, 0.9, steps)
    return ()


def is_close(name, expected, actual, window):
    if expected == actual or (math.isnan(expected) and math.isnan(actual)):
        return True
    if not (math.isfinite(expected) and math.isfinite(actual)):
        return False
    allowed = abs(expected) * (1e-9 if name in OTHER_ORDER | set(OTHER_FORMULA) else 1e-12)
    if name in OTHER_FORMULA:
        largest = max(abs(value) for value in window.values)
        allowed += 1e-12 * largest ** OTHER_FORMULA[name]
    return abs(expected - actual) <= allowed


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(RANGE_FUNCTIONS))
def test_kernel_agrees_with_its_reference(random_frame, cut, kind, name, shape):
    steps, step_ms, range_ms = SHAPES[shape]
    # Enough windows that the kernel, not the reference itself, is asked.
    series = max(5, -(-ranges.TINY_CELLS // steps))
    seed = 100 * len(kind) + steps
    frame = random_frame(seed, kind, series=series)
    rng = np.random.default_rng(seed)
    ends_ms = -500_000 + step_ms * np.arange(steps, dtype=np.int64)
    windows = Windows(ends_ms + 1_000, ends_ms, range_ms)
    params = make_params(name, steps, rng)

    values, present = apply_range_function(name, frame, windows, params, nothing_to_check)

    for row in range(series):
        for step, end_ms in enumerate(ends_ms.tolist()):
            window = cut(
                frame,
                row,
                end_ms - range_ms,
                end_ms,
                eval_ms=end_ms + 1_000,
                params=tuple(float(param[step]) for param in params),
            )
            expected = REFERENCES[name](window) if window.values else None
            where = (seed, row, step, window)
            assert present[row, step] == (expected is not None), where
            if expected is None:
                assert np.isnan(values[row, step]), where
            else:
                actual = float(values[row, step])
                assert is_close(name, expected, actual, window), (expected, actual, where)


@pytest.mark.parametrize("name", sorted(RANGE_FUNCTIONS))
def test_series_over_several_chunks_are_those_of_each_alone(random_frame, name):
    frame = random_frame(5, "counter", series=70, samples=60)
    ends_ms = -900_000 + 1_000 * np.arange(1_000, dtype=np.int64)
    windows = Windows(ends_ms, ends_ms, 30_000)
    params = make_params(name, 1_000, np.random.default_rng(5))

    values, present = apply_range_function(name, frame, windows, params, nothing_to_check)

    assert present.any()
    for row in (0, 1, 31, 32, 33, 64, 69):
        inside = slice(frame.offsets[row], frame.offsets[row + 1])
        alone = SeriesFrame(
            frame.labels[row : row + 1],
            np.array([0, inside.stop - inside.start]),
            frame.times_ms[inside],
            frame.values[inside],
        )
        expected, there = apply_range_function(name, alone, windows, params, nothing_to_check)
        assert present[row].tolist() == there[0].tolist()
        np.testing.assert_allclose(values[row], expected[0], rtol=1e-9, atol=1e-9)


def test_tiny_input_is_answered_by_the_reference(random_frame, cut):
    # Here a tree of sums would differ from left to right in the last bits.
    frame = random_frame(11, "gauge", series=2, samples=120)
    ends_ms = -500_000 + 15_000 * np.arange(20, dtype=np.int64)
    windows = Windows(ends_ms, ends_ms, 300_000)

    values, present = apply_range_function("sum_over_time", frame, windows, (), nothing_to_check)

    for row, step in np.argwhere(present):
        window = cut(frame, row, int(ends_ms[step]) - 300_000, int(ends_ms[step]))
        assert values[row, step] == REFERENCES["sum_over_time"](window)


@pytest.mark.parametrize("name", sorted(RANGE_FUNCTIONS))
def test_no_series_no_samples_no_steps(name):
    steps_ms = np.arange(3, dtype=np.int64)
    windows, none = Windows(steps_ms, steps_ms, 5), Windows(steps_ms[:0], steps_ms[:0], 5)
    empty_series = SeriesFrame([()], np.zeros(2, np.int64), np.zeros(0, np.int64), np.zeros(0))

    for frame, asked, shape in (
        (SeriesFrame.empty(), windows, (0, 3)),
        (empty_series, windows, (1, 3)),
        (empty_series, none, (1, 0)),
    ):
        params = make_params(name, asked.count, np.random.default_rng(0))
        values, present = apply_range_function(name, frame, asked, params, nothing_to_check)
        assert values.shape == present.shape == shape
        assert not present.any()


def test_check_is_asked_between_chunks_and_ends_the_work(random_frame):
    frame = random_frame(2, "counter", series=100, samples=30)
    ends_ms = -900_000 + 1_000 * np.arange(1_000, dtype=np.int64)
    windows = Windows(ends_ms, ends_ms, 30_000)
    asked = []

    def stop_at_the_second():
        asked.append(True)
        if len(asked) == 2:
            raise TimeoutError("deadline")

    with pytest.raises(TimeoutError):
        apply_range_function("rate", frame, windows, (), stop_at_the_second)


@pytest.mark.parametrize("range_ms", [300_000, 47_000, 3_600_000])
def test_counters_that_fall_all_the_time(cut, range_ms):
    rng = np.random.default_rng(9)
    count, series = 2_000, 3
    times = np.tile(15_000 * np.arange(count, dtype=np.int64), series)
    offsets = count * np.arange(series + 1, dtype=np.int64)
    frame = SeriesFrame([()] * series, offsets, times, rng.uniform(1, 2, count * series))
    ends_ms = 60_000 * np.arange(1, 400, dtype=np.int64)
    windows = Windows(ends_ms, ends_ms, range_ms)

    values, present = apply_range_function("increase", frame, windows, (), nothing_to_check)

    for row in range(series):
        for step in range(0, 399, 7):
            window = cut(frame, row, int(ends_ms[step]) - range_ms, int(ends_ms[step]))
            expected = REFERENCES["increase"](window) if window.values else None
            assert present[row, step] == (expected is not None)
            if expected is not None:
                assert values[row, step] == pytest.approx(expected, rel=1e-9)


def test_sums_that_cancel_out_are_as_exact_as_the_reference():
    values = np.array([1e100, 1.0, -1e100, 1.0] * 100)
    times_ms = 1_000 * np.arange(400, dtype=np.int64)
    frame = SeriesFrame([()], np.array([0, 400]), times_ms, values)
    ends_ms = times_ms[3::4]
    windows = Windows(ends_ms, ends_ms, 4_000)

    sums, _ = apply_range_function("sum_over_time", frame, windows, (), nothing_to_check)
    means, _ = apply_range_function("avg_over_time", frame, windows, (), nothing_to_check)

    assert sums.tolist() == [[2.0] * 100]
    assert means.tolist() == [[0.5] * 100]
