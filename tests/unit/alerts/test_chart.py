"""The picture of a series: it shows what is there, for eyes of every kind, and is small."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tidegauge.alerts.notifiers.chart import HEIGHT_PX, WIDTH_PX, Chart, Curve, draw_chart

START_MS = 1_767_322_800_000
MINUTE_MS = 60_000
LINE, THRESHOLD, FIRED = (0, 0x72, 0xB2), (0xD5, 0x5E, 0), (0x9B, 0x4F, 0x7D)
STEADY = Curve(START_MS, MINUTE_MS, np.linspace(1.0, 9.0, 61), threshold=5.0)


def pixels(chart: Chart | None) -> np.ndarray:
    """Return a chart's colours, uint8, shape (rows, columns, 3)."""
    assert chart is not None
    image = Image.open(io.BytesIO(chart.png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def find(chart: Chart | None, colour: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns where a colour is, nearly."""
    distance = np.abs(pixels(chart).astype(int) - np.array(colour)).max(axis=2)
    rows, columns = np.nonzero(distance <= 12)
    return rows, columns


def test_a_chart_is_a_small_png_with_twice_the_pixels_that_it_is_shown_with() -> None:
    chart = draw_chart(STEADY)

    assert pixels(chart).shape == (2 * HEIGHT_PX, 2 * WIDTH_PX, 3)
    assert chart is not None
    assert len(chart.png) < 20_000
    assert chart.alt == "Chart of 60 minutes: from 1 to 9, threshold 5"


def test_what_rises_goes_from_below_on_the_left_to_above_on_the_right() -> None:
    rows, columns = find(draw_chart(STEADY), LINE)

    assert rows[columns < 300].min() > rows[columns > 900].max()


def test_the_threshold_is_a_dashed_line_at_its_height() -> None:
    chart = draw_chart(STEADY)
    rows, columns = find(chart, THRESHOLD)

    height = int(np.bincount(rows).argmax())
    at_height = np.unique(columns[rows == height])
    line_rows, line_columns = find(chart, LINE)
    crossing = line_rows[np.abs(line_columns - (124 + 1172) // 2) < 4]
    assert abs(crossing.mean() - height) < 6
    assert 400 < len(at_height) < 700
    assert not len(find(draw_chart(replace(STEADY, threshold=None)), THRESHOLD)[0])


def test_the_moment_of_firing_is_marked_where_it_lies_in_the_range() -> None:
    _, columns = find(draw_chart(replace(STEADY, fired_ms=START_MS + 30 * MINUTE_MS)), FIRED)

    assert abs(int(np.bincount(columns).argmax()) - (124 + 1172) // 2) <= 3
    for other in (None, START_MS - 1, STEADY.end_ms + 1):
        assert not len(find(draw_chart(replace(STEADY, fired_ms=other)), FIRED)[0])


def test_a_gap_is_a_gap_and_a_lonely_value_a_dot() -> None:
    values = np.full(61, np.nan)
    values[:10], values[30] = 1.0, 1.0

    _, columns = find(draw_chart(replace(STEADY, values=values, threshold=None)), LINE)

    middle = (124 + 1172) // 2
    assert not ((columns > 330) & (columns < middle - 10)).any()
    assert (np.abs(columns - middle) <= 5).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_where_there_is_no_number_there_is_no_chart(value: float) -> None:
    assert draw_chart(replace(STEADY, values=np.full(3, value))) is None


def test_values_too_far_apart_for_a_scale_have_no_chart() -> None:
    assert draw_chart(replace(STEADY, values=np.array([-1.7e308, 1.7e308]))) is None


@given(
    values=st.lists(st.floats(width=64), min_size=2, max_size=200),
    threshold=st.none() | st.floats(),
    step_ms=st.integers(1, 86_400_000),
)
def test_whatever_a_series_holds_it_is_drawn_or_it_is_not(
    values: list[float], threshold: float | None, step_ms: int
) -> None:
    chart = draw_chart(Curve(START_MS, step_ms, np.array(values), threshold, START_MS))

    assert chart is None or pixels(chart).shape[2] == 3
