"""Draws the small chart of one series that goes with a mail. Pure: arrays in, PNG out."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tidegauge.model.floats import format_go_g

WIDTH_PX, HEIGHT_PX = 600, 180
"""The size at which it is shown; it has twice as many pixels each way, for fine screens."""

_FINE = 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 16, 24
_FONT_PX = 11
# Told apart by whoever sees no red or no green, and by brightness: Okabe and Ito's palette. The
# threshold is dashed and the moment of firing has a word beside it, for who sees no colours.
_INK, _GRID, _PAPER = "#333333", "#e2e2e2", "#ffffff"
_LINE, _THRESHOLD, _FIRED = "#0072b2", "#d55e00", "#9b4f7d"
_COLOURS = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_STEPS_S = (60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800)
_MOST_TIMES, _MOST_VALUES = 7, 5


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart.

    Args:
        png: the picture.
        alt: what it shows, in words.
    """

    png: bytes
    alt: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One series over a range of time, and what it is held against.

    Args:
        start_ms, step_ms: when its first value is, and how far apart they are, Unix ms.
        values: float64, shape (points,), at least 2 of them; NaN where there is none.
        threshold: what it is compared with; None: nothing is known.
        fired_ms: when its alert began to fire, Unix ms; None: it did not, or nobody knows.
    """

    start_ms: int
    step_ms: int
    values: np.ndarray
    threshold: float | None = None
    fired_ms: int | None = None

    @property
    def end_ms(self) -> int:
        """When its last value is."""
        return self.start_ms + self.step_ms * (len(self.values) - 1)


def draw_chart(curve: Curve) -> Chart | None:
    """Return the chart of a series, or None where there is nothing that can be drawn."""
    seen = curve.values[np.isfinite(curve.values)]
    if not len(seen):
        return None
    low, high = float(seen.min()), float(seen.max())
    bottom, top = _choose_range(low, high, curve.threshold)
    if not math.isfinite(top - bottom):
        return None
    picture = _Picture(curve, bottom, top)
    picture.draw_axes()
    picture.draw_threshold()
    picture.draw_series()
    picture.draw_firing()
    return Chart(picture.to_png(), _describe(curve, low, high))


class _Picture:
    """A canvas with the scale of one curve."""

    def __init__(self, curve: Curve, bottom: float, top: float) -> None:
        self._curve, self._bottom, self._top = curve, bottom, top
        self._image = Image.new("RGB", (WIDTH_PX * _FINE, HEIGHT_PX * _FINE), _PAPER)
        self._pen = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(_FONT_PX * _FINE)
        self._x0, self._x1 = _LEFT * _FINE, (WIDTH_PX - _RIGHT) * _FINE
        self._y0, self._y1 = _TOP * _FINE, (HEIGHT_PX - _BOTTOM) * _FINE

    def draw_axes(self) -> None:
        for value in _list_values(self._bottom, self._top):
            y = self._y(value)
            self._pen.line(((self._x0, y), (self._x1, y)), _GRID, _FINE)
            self._write((self._x0 - 5 * _FINE, y), format_go_g(value), "rm")
        step_ms = _choose_time_step_ms(self._curve.end_ms - self._curve.start_ms)
        form = "%d %b" if step_ms >= 86_400_000 else "%H:%M"
        for time_ms in _list_times(self._curve.start_ms, self._curve.end_ms, step_ms):
            x = self._x(time_ms)
            self._pen.line(((x, self._y0), (x, self._y1)), _GRID, _FINE)
            moment = _EPOCH + timedelta(milliseconds=time_ms)
            self._write((x, self._y1 + 5 * _FINE), f"{moment:{form}}", "mt")
        self._write((5 * _FINE, self._y1 + 5 * _FINE), "UTC", "lt")
        self._pen.line(((self._x0, self._y1), (self._x1, self._y1)), _INK, _FINE)

    def draw_threshold(self) -> None:
        threshold = self._curve.threshold
        if threshold is None or not self._bottom <= threshold <= self._top:
            return
        y, dash = self._y(threshold), 6 * _FINE
        for x in range(self._x0, self._x1, 2 * dash):
            self._pen.line(((x, y), (min(x + dash, self._x1), y)), _THRESHOLD, 2 * _FINE)
        place = (self._x0 + 3 * _FINE, y - 2 * _FINE)
        self._write(place, f"threshold {format_go_g(threshold)}", "lb", _THRESHOLD)

    def draw_series(self) -> None:
        for run in _split_runs(self._curve.values):
            points = [
                (self._x(self._curve.start_ms + number * self._curve.step_ms), self._y(value))
                for number, value in run
            ]
            if len(points) > 1:
                self._pen.line(points, _LINE, 2 * _FINE, joint="curve")
            else:
                self._pen.circle(points[0], 2 * _FINE, _LINE)

    def draw_firing(self) -> None:
        fired_ms = self._curve.fired_ms
        if fired_ms is None or not self._curve.start_ms <= fired_ms <= self._curve.end_ms:
            return
        x = self._x(fired_ms)
        self._pen.line(((x, self._y0), (x, self._y1)), _FIRED, 2 * _FINE)
        at_right = x > (self._x0 + self._x1) / 2
        place = (x + (-4 if at_right else 4) * _FINE, 2 * _FINE)
        self._write(place, "firing", "rt" if at_right else "lt", _FIRED)

    def to_png(self) -> bytes:
        written = io.BytesIO()
        # The fastest way to few colours: an alert has many mails, and they wait.
        few = self._image.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE)
        few.save(written, "PNG")
        return written.getvalue()

    def _x(self, time_ms: float) -> float:
        share = (time_ms - self._curve.start_ms) / (self._curve.end_ms - self._curve.start_ms)
        return self._x0 + share * (self._x1 - self._x0)

    def _y(self, value: float) -> float:
        share = (value - self._bottom) / (self._top - self._bottom)
        return self._y1 - share * (self._y1 - self._y0)

    def _write(
        self, place: tuple[float, float], text: str, anchor: str, colour: str = _INK
    ) -> None:
        self._pen.text(place, text, fill=colour, font=self._font, anchor=anchor)


def _choose_range(low: float, high: float, threshold: float | None) -> tuple[float, float]:
    if threshold is not None and math.isfinite(threshold):
        low, high = min(low, threshold), max(high, threshold)
    # So much that the lowest and the highest value do not lie on the edge.
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _list_values(bottom: float, top: float) -> Iterator[float]:
    rough = (top - bottom) / _MOST_VALUES
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor >= rough)
    for number in range(math.ceil(bottom / step), math.floor(top / step) + 1):
        # By its digits: 3 * 0.1 is no number that people would write.
        yield float(f"{number * step:.12g}")


def _choose_time_step_ms(length_ms: int) -> int:
    for step_s in _TIME_STEPS_S:
        if length_ms / (step_s * 1000) <= _MOST_TIMES:
            return step_s * 1000
    days = math.ceil(length_ms / _MOST_TIMES / 86_400_000)
    return days * 86_400_000


def _list_times(start_ms: int, end_ms: int, step_ms: int) -> range:
    return range(-(-start_ms // step_ms) * step_ms, end_ms + 1, step_ms)


def _split_runs(values: np.ndarray) -> Iterator[list[tuple[int, float]]]:
    """Yield the stretches without a gap, as numbers of points and their values."""
    run: list[tuple[int, float]] = []
    for number, value in enumerate(values.tolist()):
        if math.isfinite(value):
            run.append((number, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _describe(curve: Curve, low: float, high: float) -> str:
    minutes = round((curve.end_ms - curve.start_ms) / 60_000)
    held = "" if curve.threshold is None else f", threshold {format_go_g(curve.threshold)}"
    return f"Chart of {minutes} minutes: from {low:.4g} to {high:.4g}{held}"
