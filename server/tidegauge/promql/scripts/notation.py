"""How a script writes numbers, durations, and a series with its points.

`name{label="value"} 1 2+3x4 _ stale` is one series: the points 1 2 5 8 11 14, a gap, and a
stale marker. `{{…}}` is a native histogram.
Source: Prometheus `docs/configuration/unit_testing_rules.md`, "series".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tidegauge.errors import InvalidInput
from tidegauge.model.histogram import Histogram
from tidegauge.model.labels import Labels
from tidegauge.model.stale import STALE_NAN
from tidegauge.promql.durations import NS_PER_MS, parse_duration, parse_number
from tidegauge.promql.parser import parse_metric
from tidegauge.promql.quoting import unquote
from tidegauge.promql.scripts.histograms import parse_histogram, step_histograms

MAX_POINTS = 1_000_000

_DECIMAL = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"

# A name, or braces, or both; `{{` opens a histogram. Quoted strings may hold any character.
_BRACES = r"""\{(?!\{)(?:[^"'`}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)*\}"""
_METRIC = re.compile(rf"(?:[a-zA-Z_:][a-zA-Z0-9_:]*(?:{_BRACES})?|{_BRACES})(?=\s|$)", re.ASCII)
_SPACE = re.compile(r"\s*")
_HISTOGRAM_ITEM = re.compile(r"\{\{(.*?)\}\}(?:([+-])\{\{(.*?)\}\})?(?:x(\d+))?(?=\s|$)")
_GAP_ITEM = re.compile(r"_(?:x(\d+))?(?=\s|$)")
_FLOAT_ITEM = re.compile(
    rf"([+-]?(?:{_DECIMAL}|[iI][nN][fF]|[nN][aA][nN])|stale)"
    rf"(?:([+-](?:{_DECIMAL}|[iI][nN][fF]|[nN][aA][nN]))?x(\d+))?(?=\s|$)",
    re.ASCII,
)


class ScriptError(InvalidInput):
    """A line of a script that cannot be read."""


@dataclass(frozen=True, slots=True)
class HistogramPoint:
    """A native histogram, and whether its hint was written."""

    histogram: Histogram
    has_hint: bool


Point = float | HistogramPoint | None
"""A float, a histogram, or a gap."""


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """A series and its points, one per step."""

    labels: Labels
    points: tuple[Point, ...]


def parse_duration_ms(text: str) -> int:
    """Return the milliseconds of `1h30m`, `10s53ms` or `0`.

    Raises:
        ScriptError: not a duration.
    """
    try:
        return parse_duration(text) // NS_PER_MS
    except ValueError as exc:
        raise ScriptError(f"{text!r} is not a duration: {exc}") from exc


def parse_string(literal: str) -> str:
    """Return what a quoted string says.

    Raises:
        ScriptError: it is not well-formed.
    """
    try:
        return unquote(literal)
    except ValueError as exc:
        raise ScriptError(f"{literal} is not a quoted string") from exc


def find_number(text: str) -> float | None:
    """Return the number that this text is as a whole, as Go reads it, or None."""
    try:
        return parse_number(text)
    except ValueError:
        return None


def parse_series_line(text: str) -> SeriesLine:
    """Return the series that a line describes.

    Raises:
        InvalidInput: says what could not be read.
    """
    metric = _METRIC.match(text)
    if metric is None:
        raise ScriptError(f"{text[:40]!r} does not start with a series")
    labels = parse_metric(metric[0])
    points: list[Point] = []
    rest = text[metric.end() :]
    position = 0
    while (position := _skip_space(rest, position)) < len(rest):
        added, position = _parse_item(rest, position)
        points += added
        if len(points) > MAX_POINTS:
            raise ScriptError(f"a series of more than {MAX_POINTS} points")
    return SeriesLine(labels, tuple(points))


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return position if found is None else found.end()


def _parse_item(text: str, position: int) -> tuple[list[Point], int]:
    found = _GAP_ITEM.match(text, position)
    if found is not None:
        return [None] * _count(found[1], 1), found.end()
    found = _HISTOGRAM_ITEM.match(text, position)
    if found is not None:
        return _histograms(*found.groups()), found.end()
    found = _FLOAT_ITEM.match(text, position)
    if found is None:
        raise ScriptError(f"unexpected {text[position : position + 20]!r} in series values")
    value, change, times = found.groups()
    first = float(STALE_NAN[0]) if value == "stale" else _number(value)
    if change is None:
        return [first] * _count(times, 0, plus=1), found.end()
    return list(_steps(first, _number(change), _count(times, 0) + 1)), found.end()


def _histograms(text: str, sign: str | None, change: str | None, times: str | None) -> list[Point]:
    first, has_hint = parse_histogram(text)
    if sign is None or change is None:
        return [HistogramPoint(first, has_hint)] * _count(times, 0, plus=1)
    stepped = step_histograms(first, parse_histogram(change)[0], sign, _count(times, 0))
    return [HistogramPoint(one, has_hint) for one in stepped]


def _count(times: str | None, default: int, *, plus: int = 0) -> int:
    count = default if times is None else int(times[:12])
    if count > MAX_POINTS:
        raise ScriptError(f"a series of more than {MAX_POINTS} points")
    return count + plus


def _number(text: str) -> float:
    value = find_number(text)
    if value is None:
        raise ScriptError(f"{text!r} is not a number")
    return value


def _steps(value: float, change: float, count: int) -> Iterator[float]:
    for _ in range(count):
        yield value
        value += change
