"""Windows, stale markers and edges."""

from __future__ import annotations

import numpy as np
import pytest
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.stale import STALE_NAN, is_stale
from tidegauge.promql.kernels.windows import Windows, drop_stale, find_edges, plan_edges


def make_windows(end_ms, step_ms, count, range_ms):
    ends_ms = end_ms + step_ms * np.arange(count, dtype=np.int64)
    return Windows(ends_ms, ends_ms, range_ms)


def test_stale_markers_go_and_ordinary_nan_stays():
    frame = SeriesFrame(
        [(("a", "1"),), (("a", "2"),), (("a", "3"),)],
        np.array([0, 3, 3, 5]),
        np.array([1, 2, 3, 1, 2]),
        np.array([1.0, STALE_NAN[0], np.nan, STALE_NAN[0], 5.0]),
    )

    kept = drop_stale(frame)

    assert kept.labels == frame.labels
    assert kept.offsets.tolist() == [0, 2, 2, 3]
    assert kept.times_ms.tolist() == [1, 3, 2]
    assert kept.values.tolist()[::2] == [1.0, 5.0]
    assert np.isnan(kept.values[1])
    assert not is_stale(kept.values).any()


def test_a_frame_without_stale_markers_is_not_copied(random_frame):
    frame = random_frame(1, "NaN and Inf")

    assert drop_stale(frame) is frame


def test_step_is_zero_where_it_is_not_one_fixed_distance():
    assert make_windows(0, 15_000, 5, 1).step_ms == 15_000
    assert make_windows(0, 0, 5, 1).step_ms == 0
    assert make_windows(0, 0, 1, 1).step_ms == 0
    uneven = np.array([0, 10, 30])
    assert Windows(uneven, uneven, 5).step_ms == 0


def test_range_of_whole_steps_needs_one_search_for_both_edges():
    plan = plan_edges(make_windows(0, 60_000, 100, 300_000))

    assert (plan.slots, plan.stride) == (5, 1)
    assert len(plan.cuts_ms) == 105


def test_range_that_is_no_multiple_is_cut_finer_only_where_asked():
    assert plan_edges(make_windows(0, 47_000, 100, 300_000)).slots == 0
    fine = plan_edges(make_windows(0, 45_000, 100, 300_000), most_cuts=1_000)
    assert (fine.slots, fine.stride) == (20, 3)


@pytest.mark.parametrize("step_ms", [0, 1_000, 15_000, 47_000])
@pytest.mark.parametrize("range_ms", [0, 15_000, 60_000, 300_001])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_edges_are_those_of_counting_by_hand(random_frame, step_ms, range_ms, count):
    frame = random_frame(7, "gauge", series=6)
    windows = make_windows(-700_000, step_ms, count, range_ms)
    plan = plan_edges(windows, most_cuts=200)

    edges = find_edges(frame, plan.cuts_ms, 1, 6)
    left, right = plan.left(edges), plan.right(edges)

    for row in range(5):
        start, end = frame.offsets[row + 1], frame.offsets[row + 2]
        times = frame.times_ms[start:end]
        for step, end_ms in enumerate(windows.ends_ms):
            assert left[row, step] == start + np.count_nonzero(times <= end_ms - range_ms)
            assert right[row, step] == start + np.count_nonzero(times <= end_ms)


def test_edges_of_many_short_series_equal_those_of_each_alone(random_frame):
    frame = random_frame(8, "gauge", series=300, samples=10)
    cuts_ms = np.array([-900_000, -800_000, 0])

    together = find_edges(frame, cuts_ms, 0, 300)

    for row in range(300):
        start, end = frame.offsets[row], frame.offsets[row + 1]
        expected = start + frame.times_ms[start:end].searchsorted(cuts_ms, side="right")
        assert together[row].tolist() == expected.tolist()
