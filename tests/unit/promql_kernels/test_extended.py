"""Anchored and smoothed selectors: the examples of Prometheus's PROM-52, and random series."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.kernels.extended import (
    ANCHORED_FUNCTIONS,
    SMOOTHED_FUNCTIONS,
    apply_extended,
    extend_window,
    smooth_instant,
)
from tidegauge.promql.kernels.extended_reference import EXTENDED_REFERENCES
from tidegauge.promql.kernels.windows import Windows

MINUTE_MS = 60_000
LOOKBACK_MS = 5 * MINUTE_MS


def nothing_to_check():
    """Stand in for a deadline that is far away."""


def is_close(expected, actual, window):
    if expected == actual or (math.isnan(expected) and math.isnan(actual)):
        return True
    if not (math.isfinite(expected) and math.isfinite(actual)):
        return False
    # Interpolated values are subtracted, so that an error relative to the samples remains.
    largest = max(abs(value) for value in window.values)
    return abs(expected - actual) <= 1e-12 * max(abs(expected), largest)


def one_series(values, step_ms=15_000):
    """One series from time 0 on; None is a gap."""
    points = [(step_ms * index, value) for index, value in enumerate(values) if value is not None]
    times_ms, column = zip(*points, strict=True)
    return SeriesFrame(
        [(("a", "b"),)], np.array([0, len(points)]), np.array(times_ms), np.array(column, float)
    )


COMPLETE = one_series([1, 2, 3, 4, 5, 9, 10, 11, 12, 13])
PARTIAL = one_series([1, 2, 3, None, None, 9, 10, 11, 12, 13])


@pytest.mark.parametrize(
    ("mode", "frame", "expected"),
    [
        ("anchored", COMPLETE, [0, 1, 2, 3, 4, 7, 7, 7, 7]),
        ("smoothed", COMPLETE, [1 / 3, 4 / 3, 7 / 3, 10 / 3, 5, 7, 7, 7, 6]),
        ("anchored", PARTIAL, [0, 1, 2, 2, 2, 7, 7, 8, 9]),
        ("smoothed", PARTIAL, [1 / 3, 4 / 3, 8 / 3, 14 / 3, 19 / 3, 7, 20 / 3, 17 / 3, 14 / 3]),
    ],
)
def test_increase_of_the_reference_datasets(mode, frame, expected):
    ends_ms = 5_000 + 15_000 * np.arange(9, dtype=np.int64)

    values, present = apply_extended(
        "increase", mode, frame, Windows(ends_ms, ends_ms, MINUTE_MS), LOOKBACK_MS, nothing_to_check
    )

    assert present.all()
    np.testing.assert_allclose(values[0], expected, rtol=1e-9)


def test_rate_divides_by_the_range_and_delta_knows_no_resets():
    frame = one_series([10, 20, 5, 15])
    ends_ms = np.array([45_000])
    windows = Windows(ends_ms, ends_ms, 45_000)

    rate, _ = apply_extended("rate", "anchored", frame, windows, LOOKBACK_MS, nothing_to_check)
    delta, _ = apply_extended("delta", "smoothed", frame, windows, LOOKBACK_MS, nothing_to_check)

    assert rate.tolist() == [[pytest.approx((15 - 10 + 20) / 45)]]
    assert delta.tolist() == [[5.0]]


def test_anchored_counts_from_the_sample_before_the_window():
    frame = one_series([1, 2, 1, 1])
    ends_ms = np.array([14_999, 29_999, 44_999, 59_999])
    windows = Windows(ends_ms, ends_ms, 15_000)

    changes, present = apply_extended(
        "changes", "anchored", frame, windows, LOOKBACK_MS, nothing_to_check
    )
    resets, _ = apply_extended("resets", "anchored", frame, windows, LOOKBACK_MS, nothing_to_check)

    assert present.tolist() == [[True, True, True, True]]
    assert changes.tolist() == [[0, 1, 1, 0]]
    assert resets.tolist() == [[0, 0, 1, 0]]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("steps", "step_ms", "range_ms"),
    [
        (1, 0, 60_000),
        (30, 15_000, 300_000),
        (20, 47_000, 60_000),
        (9, 0, 300_000),
        (20, 1_000, 3_000),
    ],
)
def test_kernels_agree_with_their_references(
    random_frame, cut, kind, seed, steps, step_ms, range_ms
):
    frame = random_frame(seed, kind)
    ends_ms = -500_000 + step_ms * np.arange(steps, dtype=np.int64)
    windows = Windows(ends_ms, ends_ms, range_ms)
    lookback_ms = 30_000
    for (mode, name), reference in EXTENDED_REFERENCES.items():
        values, present = apply_extended(name, mode, frame, windows, lookback_ms, nothing_to_check)
        after_ms = lookback_ms if mode == "smoothed" else 0
        for row in range(5):
            for step, end_ms in enumerate(ends_ms.tolist()):
                window = cut(
                    frame,
                    row,
                    end_ms - range_ms,
                    end_ms,
                    before_ms=lookback_ms,
                    after_ms=after_ms,
                )
                expected = reference(window) if window.values else None
                where = (seed, mode, name, row, step, window)
                assert present[row, step] == (expected is not None), where
                if expected is None:
                    assert np.isnan(values[row, step]), where
                else:
                    assert is_close(expected, float(values[row, step]), window), where


def test_every_allowed_function_has_a_reference():
    allowed = {("anchored", name) for name in ANCHORED_FUNCTIONS}
    allowed |= {("smoothed", name) for name in SMOOTHED_FUNCTIONS}
    assert set(EXTENDED_REFERENCES) == allowed


def test_smoothed_instant_interpolates_holds_and_waits():
    frame = one_series([0, 15, None, None, 60])
    steps_ms = np.array([-1, 0, 5_000, 30_000, 60_000, 61_000, 60_000 + LOOKBACK_MS])

    values, present = smooth_instant(frame, steps_ms, LOOKBACK_MS)

    assert present.tolist() == [[False, True, True, True, True, True, False]]
    assert values[0, 1:6].tolist() == [0, 5, 30, 60, 60]


def test_window_at_the_top_gets_a_point_at_both_ends():
    frame = one_series([0, 10, 20, 30])

    anchored = extend_window(frame, "anchored", 7_500, 37_500, LOOKBACK_MS)
    smoothed = extend_window(frame, "smoothed", 7_500, 37_500, LOOKBACK_MS)
    outside = extend_window(frame, "anchored", 45_000, 90_000, LOOKBACK_MS)

    assert anchored.times_ms.tolist() == [7_500, 15_000, 30_000, 37_500]
    assert anchored.values.tolist() == [0, 10, 20, 20]
    assert smoothed.times_ms.tolist() == [7_500, 15_000, 30_000, 37_500]
    assert smoothed.values.tolist() == [5, 10, 20, 25]
    assert outside.offsets.tolist() == [0, 0]


def test_nothing_to_extend():
    empty, steps_ms = SeriesFrame.empty(), np.array([0, 1])
    windows = Windows(steps_ms, steps_ms, 5)

    values, present = apply_extended("rate", "anchored", empty, windows, 5, nothing_to_check)

    assert values.shape == present.shape == (0, 2)
    assert smooth_instant(empty, steps_ms, 5)[0].shape == (0, 2)
    assert extend_window(empty, "smoothed", 0, 5, 5) is empty
