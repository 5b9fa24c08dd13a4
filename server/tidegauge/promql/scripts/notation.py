"""How a script writes numbers, durations, and a series with its points.

`name{label="value"} 1 2+3x4 _ stale` is one series: the points 1 2 5 8 11 14, a gap, and a
stale marker. `{{…}}` is a native histogram, of which only the place is kept.
Source: Prometheus `docs/configuration/unit_testing_rules.md`, "series".
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tidegauge.errors import InvalidInput
from tidegauge.model.labels import METRIC_NAME, Labels, make_labels
from tidegauge.model.stale import STALE_NAN
from tidegauge.promql.durations import NS_PER_MS, parse_duration, parse_number
from tidegauge.promql.quoting import unquote

MAX_POINTS = 1_000_000

_DECIMAL = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_LABEL = re.compile(r"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*", re.ASCII)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_EQUALS = re.compile(r"\s*=\s*")
_SPACE = re.compile(r"\s*")
_HISTOGRAM_ITEM = re.compile(r"\{\{.*?\}\}(?:[+-]\{\{.*?\}\})?(?:x(\d+))?(?=\s|$)")
_GAP_ITEM = re.compile(r"_(?:x(\d+))?(?=\s|$)")
_FLOAT_ITEM = re.compile(
    rf"([+-]?(?:{_DECIMAL}|[iI][nN][fF]|[nN][aA][nN])|stale)"
    rf"(?:([+-](?:{_DECIMAL}|[iI][nN][fF]|[nN][aA][nN]))?x(\d+))?(?=\s|$)",
    re.ASCII,
)


class ScriptError(InvalidInput):
    """A line of a script that cannot be read."""


class Histogram(enum.Enum):
    """Stands where a native histogram was written."""

    POINT = "histogram"


Point = float | Histogram | None
"""A float, the place of a histogram, or a gap."""


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """A series and its points, one per step."""

    labels: Labels
    points: tuple[Point, ...]

    @property
    def has_histograms(self) -> bool:
        """Whether a native histogram is among the points."""
        return Histogram.POINT in self.points


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
        ScriptError: says what could not be read.
    """
    labels, position = _parse_labels(text)
    points: list[Point] = []
    rest = text[position:]
    if rest and not rest[0].isspace():
        raise ScriptError(f"unexpected {rest[:15]!r} behind the series")
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
        return [Histogram.POINT] * _count(found[1], 0, plus=1), found.end()
    found = _FLOAT_ITEM.match(text, position)
    if found is None:
        raise ScriptError(f"unexpected {text[position : position + 20]!r} in series values")
    value, change, times = found.groups()
    first = float(STALE_NAN[0]) if value == "stale" else _number(value)
    if change is None:
        return [first] * _count(times, 0, plus=1), found.end()
    return list(_steps(first, _number(change), _count(times, 0) + 1)), found.end()


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


def _parse_labels(text: str) -> tuple[Labels, int]:
    pairs: list[tuple[str, str]] = []
    position = 0
    name = _NAME.match(text)
    if name is not None:
        pairs.append((METRIC_NAME, name[0]))
        position = name.end()
    # `{{` opens a histogram, not a label set.
    if not text.startswith("{", position) or text.startswith("{{", position):
        return make_labels(pairs), position
    position = _skip_space(text, position + 1)
    while not text.startswith("}", position):
        pair, position = _parse_label(text, position)
        pairs.append(pair)
        position = _skip_space(text, position)
        if text.startswith(",", position):
            position = _skip_space(text, position + 1)
        elif not text.startswith("}", position):
            raise ScriptError(
                f'unexpected {text[position : position + 15]!r}, expected "," or "}}"'
            )
    return make_labels(pairs), position + 1


def _parse_label(text: str, position: int) -> tuple[tuple[str, str], int]:
    name = _LABEL.match(text, position)
    if name is not None:
        label, position = name[1], name.end()
    else:
        # A quoted label name, or a quoted metric name, which has no `=`.
        label, position = _parse_quoted(text, position)
        equals = _EQUALS.match(text, position)
        if equals is None:
            return (METRIC_NAME, label), position
        position = equals.end()
    value, position = _parse_quoted(text, position)
    return (label, value), position


def _parse_quoted(text: str, position: int) -> tuple[str, int]:
    found = _QUOTED.match(text, position)
    if found is None:
        raise ScriptError(f"unexpected {text[position : position + 15]!r} in label set")
    quoted = found[0]
    return parse_string(quoted), found.end()
