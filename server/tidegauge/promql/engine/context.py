"""What the parts of the engine share while one query is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.matchers import Matcher
from tidegauge.promql import nodes
from tidegauge.promql.engine.errors import TooManyPoints
from tidegauge.promql.engine.notes import Notes
from tidegauge.promql.engine.options import EngineOptions
from tidegauge.promql.reader import Reader, SelectHints
from tidegauge.promql.value import Value, Vector


@dataclass(frozen=True, slots=True)
class Grid:
    """The steps at which an expression is evaluated.

    Args:
        steps_ms: int64, shape (T,), Unix ms, rising by step_ms; T is at least 1.
        step_ms: 0 for an instant query.
    """

    steps_ms: np.ndarray
    step_ms: int

    @property
    def count(self) -> int:
        """How many steps there are (T)."""
        return len(self.steps_ms)

    def first(self) -> Grid:
        """Return the grid of the first step alone."""
        return Grid(self.steps_ms[:1], self.step_ms)


class Query:
    """One query under way.

    Args:
        options: the switches.
        reader: where samples come from.
        lookback_ms: the lookback of this query.
        check: raises when the deadline is over.
        notes: where annotations go.
        repeated: the matchers of selectors that stand more than once in the query.
    Attributes:
        samples_read: how many samples the reader gave.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        reader: Reader,
        lookback_ms: int,
        check: Callable[[], None],
        notes: Notes,
        repeated: frozenset[tuple[Matcher, ...]],
    ) -> None:
        self.options, self.lookback_ms = options, lookback_ms
        self.check, self.notes = check, notes
        self.samples_read = 0
        self._reader, self._repeated = reader, repeated
        self._frames: dict[object, SeriesFrame] = {}

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints
    ) -> SeriesFrame:
        """Read samples; what the query selects twice is read once."""
        key = (tuple(matchers), start_ms, end_ms, hints)
        frame = self._frames.get(key)
        if frame is None:
            frame = self._reader.select(matchers, start_ms, end_ms, hints)
            self.samples_read += len(frame.times_ms)
            if frame.starts_ms is not None and not self.options.start_timestamps:
                frame = replace(frame, starts_ms=None)
            if key[0] in self._repeated:  # anything else would only take memory
                self._frames[key] = frame
        return frame

    def require_points(self, what: str, series: int, steps: int) -> None:
        """Return if a vector of this size may be made.

        Args:
            what: what would have it, for the message.
        Raises:
            TooManyPoints: it may not.
        """
        allowed = self.options.max_points
        if series * steps > allowed:
            raise TooManyPoints(what, series=series, steps=steps, allowed=allowed)


class Evaluation(Protocol):
    """Evaluates the arguments for the parts of the engine that need them."""

    query: Query

    def evaluate(self, expr: nodes.Expr, grid: Grid) -> Value:
        """Return the value of an expression at every step."""
        ...

    def vector(self, expr: nodes.Expr, grid: Grid) -> Vector:
        """Return the value of an expression that is an instant vector."""
        ...

    def scalar(self, expr: nodes.Expr, grid: Grid) -> np.ndarray:
        """Return the value of an expression that is a scalar: float64, shape (T,)."""
        ...


def unwrap(expr: nodes.Expr) -> nodes.Expr:
    """Return the expression without the parentheses around it."""
    while isinstance(expr, nodes.Paren):
        expr = expr.expr
    return expr


def text_argument(expr: nodes.Expr) -> str:
    """Return the string that an argument is, as the type check has made sure of."""
    literal = unwrap(expr)
    assert isinstance(literal, nodes.StringLiteral)
    return literal.value
