"""How a script writes start timestamps: `metric{labels}@st -1m _x2 -30s+10sx3`.

Each is a duration after the time of its sample. Source: Prometheus `promqltest.parseSTLine`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tidegauge.model.labels import Labels
from tidegauge.promql.parser import parse_metric
from tidegauge.promql.scripts.notation import MAX_POINTS, ScriptError, parse_duration_ms

_DURATION = r"(?:0|(?:\d+(?:ms|[smhdwy]))+)"
_ITEM = re.compile(rf"([+-]?)({_DURATION})(?:([+-])([+-]?)({_DURATION})x(\d+)|x(\d+))?", re.ASCII)
_GAP = re.compile(r"_(?:x(\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class StartsLine:
    """The series that the next line describes, and an offset in ms, or None, for each point."""

    labels: Labels
    offsets_ms: tuple[int | None, ...]


def is_starts_line(line: str) -> bool:
    """Return whether a line describes start timestamps."""
    words = line.split(maxsplit=1)
    return len(words) == 2 and words[0].endswith("@st")


def parse_starts_line(line: str) -> StartsLine:
    """Return what a line says of start timestamps.

    Raises:
        InvalidInput: says what could not be read.
    """
    metric, sequence = line.split(maxsplit=1)
    offsets: list[int | None] = []
    for item in sequence.split():
        offsets += _parse_item(item)
        if len(offsets) > MAX_POINTS:
            raise ScriptError(f"a series of more than {MAX_POINTS} points")
    return StartsLine(parse_metric(metric.removesuffix("@st")), tuple(offsets))


def _parse_item(item: str) -> list[int | None]:
    gap = _GAP.fullmatch(item)
    if gap is not None:
        return [None] * _count(gap[1] or "1")
    found = _ITEM.fullmatch(item)
    if found is None:
        raise ScriptError(f"invalid ST item {item!r}")
    sign, base, direction, step_sign, step, stepped, repeated = found.groups()
    first_ms = _signed_ms(sign, base)
    if step is None:
        return [first_ms] * (_count(repeated) + 1 if repeated else 1)
    step_ms = _signed_ms(step_sign, step)
    return list(_steps(first_ms, -step_ms if direction == "-" else step_ms, _count(stepped)))


def _steps(first_ms: int, step_ms: int, count: int) -> Iterator[int]:
    for place in range(count + 1):
        yield first_ms + place * step_ms


def _signed_ms(sign: str, duration: str) -> int:
    value_ms = parse_duration_ms(duration)
    return -value_ms if sign == "-" else value_ms


def _count(text: str) -> int:
    count = int(text[:12])
    if count > MAX_POINTS:
        raise ScriptError(f"a series of more than {MAX_POINTS} points")
    return count
