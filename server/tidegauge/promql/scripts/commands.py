"""What a script consists of: loads, clears and evals."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from tidegauge.model.matchers import compile_re2
from tidegauge.promql.scripts.notation import SeriesLine


class Expected(enum.Enum):
    """What an `expect` line speaks of."""

    ORDERED = "ordered"
    FAIL = "fail"
    WARN = "warn"
    NO_WARN = "no_warn"
    INFO = "info"
    NO_INFO = "no_info"


class Wording:
    """The wording that an `expect` line asks for: a text, a pattern, or any.

    Args:
        message: the whole text.
        pattern: RE2, found anywhere in the text.
    """

    def __init__(self, *, message: str | None = None, pattern: str | None = None) -> None:
        self.message, self.pattern = message, pattern
        self._compiled: Any = None if pattern is None else compile_re2(pattern)

    def fits(self, text: str) -> bool:
        """Return whether this text is worded so."""
        if self.message is not None:
            return text == self.message
        return self._compiled is None or self._compiled.search(text) is not None

    def __str__(self) -> str:
        if self.message is not None:
            return repr(self.message)
        return "any" if self.pattern is None else f"pattern {self.pattern!r}"


@dataclass(frozen=True, slots=True)
class Grid:
    """The times of a query: start, end and step in ms; a step of 0 is one instant."""

    start_ms: int
    end_ms: int
    step_ms: int


Offsets = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """`load <interval>`: series with points from time 0 on.

    Args:
        with_nhcb: native histograms with custom buckets are to be made of the classic ones.
        starts: for each series, how long after each sample's time the counter began, in ms (so
            mostly negative), None where it is unknown; empty: nowhere known.
    """

    line: int
    interval_ms: int
    series: tuple[SeriesLine, ...]
    with_nhcb: bool = False
    starts: tuple[Offsets, ...] = ()


@dataclass(frozen=True, slots=True)
class Clear:
    """`clear`: forget what was loaded."""

    line: int


@dataclass(slots=True)
class Eval:
    """`eval instant|range`: a query and what must come of it.

    Args:
        line: its line in the script, from 1.
        expr: the query's text.
        grid: its times.
        expects: the `expect` lines, by what they speak of.
        series: the expected series, in the order written.
        scalar: the expected number, where the expectation is a bare one.
        text: the expected string.
        range_vector: the grid of `expect range vector`.
    """

    line: int
    expr: str
    grid: Grid
    expects: dict[Expected, list[Wording]] = field(default_factory=dict)
    series: list[SeriesLine] = field(default_factory=list)
    scalar: float | None = None
    text: str | None = None
    range_vector: Grid | None = None

    @property
    def is_range(self) -> bool:
        """Whether it is a range query."""
        return self.grid.step_ms > 0

    @property
    def runs_as_range_too(self) -> bool:
        """Whether an instant query can be asked again as a range query."""
        return self.range_vector is None and self.text is None


@dataclass(frozen=True, slots=True)
class Broken:
    """A command that cannot be read, and why; it counts as a failed eval."""

    line: int
    reason: str


Command = Load | Clear | Eval | Broken
