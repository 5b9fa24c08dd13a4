"""The instant selector."""

from __future__ import annotations

import numpy as np
import pytest
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.stale import STALE_NAN
from tidegauge.promql.kernels.instant import select_instant

MINUTE_MS = 60_000


def one_series(times_ms, values):
    return SeriesFrame(
        [(("a", "b"),)], np.array([0, len(times_ms)]), np.array(times_ms), np.array(values)
    )


def test_sample_as_old_as_the_lookback_is_out():
    frame = one_series([0], [7.0])

    values, present, times_ms = select_instant(
        frame, np.array([-1, 0, 5 * MINUTE_MS - 1, 5 * MINUTE_MS]), 5 * MINUTE_MS
    )

    assert present.tolist() == [[False, True, True, False]]
    assert values[0, 1:3].tolist() == [7.0, 7.0]
    assert times_ms[0, 1:3].tolist() == [0, 0]


def test_stale_marker_hides_the_samples_before_it():
    frame = one_series([0, 15_000, 30_000], [1.0, STALE_NAN[0], 3.0])

    values, present, _ = select_instant(frame, np.array([0, 15_000, 29_999, 30_000]), 5 * MINUTE_MS)

    assert present.tolist() == [[True, False, False, True]]
    assert values[0, [0, 3]].tolist() == [1.0, 3.0]


def test_ordinary_nan_is_a_value():
    values, present, _ = select_instant(one_series([0], [np.nan]), np.array([0]), 1_000)

    assert present.all()
    assert np.isnan(values).all()


def test_no_series_and_no_samples_and_no_steps():
    empty = SeriesFrame.empty()
    assert [part.shape for part in select_instant(empty, np.array([0, 1]), 5)] == [(0, 2)] * 3
    nothing = one_series([], [])
    assert not select_instant(nothing, np.array([0, 1]), 5)[1].any()
    assert select_instant(one_series([0], [1.0]), np.zeros(0, np.int64), 5)[0].shape == (1, 0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step_ms", [0, 1_000, 15_000, 47_000])
def test_newest_sample_is_that_of_looking_by_hand(random_frame, seed, step_ms):
    frame = random_frame(seed, "gauge", series=7, stale=0.2)
    ends_ms = -900_000 + step_ms * np.arange(60, dtype=np.int64)
    lookback_ms = 40_000

    values, present, times_ms = select_instant(frame, ends_ms, lookback_ms)

    for row in range(7):
        inside = slice(frame.offsets[row], frame.offsets[row + 1])
        times, column = frame.times_ms[inside], frame.values[inside]
        for step, end_ms in enumerate(ends_ms):
            window = np.flatnonzero((times > end_ms - lookback_ms) & (times <= end_ms))
            found = len(window) > 0 and not np.isnan(column[window[-1]])
            assert present[row, step] == found
            if found:
                assert values[row, step] == column[window[-1]]
                assert times_ms[row, step] == times[window[-1]]


def test_many_series_over_several_chunks(random_frame):
    frame = random_frame(3, "counter", series=90, samples=40)
    ends_ms = -900_000 + 1_000 * np.arange(1_000, dtype=np.int64)

    values, present, _ = select_instant(frame, ends_ms, 60_000)

    for row in (0, 31, 32, 33, 65, 89):
        inside = slice(frame.offsets[row], frame.offsets[row + 1])
        alone = one_series(frame.times_ms[inside], frame.values[inside])
        expected_values, expected_present, _ = select_instant(alone, ends_ms, 60_000)
        assert present[row].tolist() == expected_present[0].tolist()
        assert values[row][present[row]].tolist() == expected_values[expected_present].tolist()
