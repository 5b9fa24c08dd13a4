"""The vectorised order of samples against the obvious one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidegauge.storage.columnar_frame import order_samples

SERIES = 5


def order_by_hand(index: list, times: list, values: list) -> tuple[list, list, list]:
    points: list[dict[int, float]] = [{} for _ in range(SERIES)]
    for place, time_ms, value in zip(index, times, values, strict=True):
        points[place][time_ms] = value
    ordered = [sorted(one.items()) for one in points]
    return (
        [len(one) for one in ordered],
        [time_ms for one in ordered for time_ms, _ in one],
        [value for one in ordered for _, value in one],
    )


def check(index: list, times: list, dtype: type = np.uint16) -> None:
    values = [float(place) for place in range(len(index))]

    found = order_samples(
        np.array(index, dtype), np.array(times, np.int64), np.array(values), SERIES
    )

    assert tuple(column.tolist() for column in found) == order_by_hand(index, times, values)


@given(st.lists(st.tuples(st.integers(0, SERIES - 1), st.integers(0, 8)), max_size=60))
def test_any_samples_are_ordered(samples: list[tuple[int, int]]) -> None:
    check([one[0] for one in samples], [one[1] for one in samples])
    check([one[0] for one in samples], [one[1] for one in samples], np.int32)


@given(
    st.permutations(range(SERIES)),
    st.integers(1, SERIES),
    st.lists(st.integers(0, 20), min_size=1, max_size=8),
)
def test_any_repeating_pattern_is_ordered(
    order: list[int], width: int, scrape_times: list[int]
) -> None:
    pattern = order[:width]

    check(pattern * len(scrape_times), [at for at in scrape_times for _ in pattern])


@pytest.mark.parametrize(
    ("index", "times"),
    [
        ([0, 1, 0, 1, 0], [1, 1, 2, 2, 3]),
        ([0, 1, 0, 2, 0, 1], [1, 1, 2, 2, 3, 3]),
        ([1, 1, 0, 1, 1, 0], [1, 2, 1, 3, 4, 2]),
        ([3], [7]),
        ([], []),
    ],
)
def test_broken_patterns_are_ordered(index: list[int], times: list[int]) -> None:
    check(index, times)
