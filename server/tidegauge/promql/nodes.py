"""The syntax tree of PromQL. Positions are byte offsets into the UTF-8 text, end exclusive.

Nodes are frozen and compare by content *with* positions; the engine never changes a tree.
Durations are nanoseconds here, as Prometheus keeps them; the engine truncates to milliseconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tidegauge.model.matchers import Matcher


class ValueType(enum.Enum):
    """The type of an expression; the value is how error messages call it."""

    SCALAR = "scalar"
    VECTOR = "instant vector"
    MATRIX = "range vector"
    STRING = "string"

    @property
    def short_name(self) -> str:
        """How Prometheus calls it inside and in its API: `vector`, `matrix`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands in the text: byte offsets, end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NumberLiteral:
    """A number; `duration` where it was written as one (`5m` is 300)."""

    value: float
    span: Span
    duration: bool = False


@dataclass(frozen=True, slots=True)
class StringLiteral:
    """A string, unescaped."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class DurationExpr:
    """Arithmetic over durations in `[…]`, `offset` and steps; resolved once per query.

    Args:
        op: `+ - * / % ^`, or `step`, `range`, `max_of`, `min_of`.
        left: None for a sign and for the functions without arguments.
        right: None for `step()` and `range()`.
        wrapped: it stood in parentheses.
    """

    op: str
    left: Duration | None
    right: Duration | None
    span: Span
    wrapped: bool = False


Duration = NumberLiteral | DurationExpr


class Anchor(enum.Enum):
    """An `@` that names an end of the query."""

    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True)
class TimeShift:
    """The `offset` and `@` of a selector or subquery.

    Args:
        offset_ns: the offset where it is a plain duration.
        offset_expr: the offset where it is arithmetic; then offset_ns is 0.
        at_ms: `@ <number>`, rounded to ms.
        at_anchor: `@ start()` or `@ end()`.
    """

    offset_ns: int = 0
    offset_expr: DurationExpr | None = None
    at_ms: int | None = None
    at_anchor: Anchor | None = None


NO_SHIFT = TimeShift()


@dataclass(frozen=True, slots=True)
class VectorSelector:
    """`name{matchers} offset … @ …`.

    Args:
        name: the metric name written before the braces, "" where there was none.
        matchers: all of them, `__name__` of a written name last, as Prometheus has it.
        bypass_empty_check: it is the data-label selector of `info()`.
        extension: "anchored", "smoothed" or "" (on a range selector it stands here too).
        only_totals: of native histograms only count and sum are asked; known once it is prepared.
    """

    name: str
    matchers: tuple[Matcher, ...]
    span: Span
    shift: TimeShift = NO_SHIFT
    bypass_empty_check: bool = False
    extension: str = ""
    only_totals: bool = False


@dataclass(frozen=True, slots=True)
class MatrixSelector:
    """`selector[range]`; its offset and `@` are the inner selector's."""

    selector: VectorSelector
    range_ns: int
    range_expr: DurationExpr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expr[range:step]`; a step of 0 without a step_expr means the server's default."""

    expr: Expr
    range_ns: int
    range_expr: DurationExpr | None
    step_ns: int
    step_expr: DurationExpr | None
    span: Span
    shift: TimeShift = NO_SHIFT


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    func: str
    args: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation; `op` in lower case, `param` for topk, quantile, count_values and friends."""

    op: str
    expr: Expr
    param: Expr | None
    grouping: tuple[str, ...]
    without: bool
    span: Span


class Card(enum.Enum):
    """How many series of one side meet how many of the other."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True)
class VectorMatching:
    """How two vectors meet.

    Args:
        labels: those of `on(…)` or `ignoring(…)`.
        include: those of `group_left(…)` or `group_right(…)`.
        fill_left, fill_right: the value that stands in for a missing partner.
    """

    card: Card
    labels: tuple[str, ...] = ()
    on: bool = False
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """`left op right`; `op` by its spelling (`+`, `==`, `and`, `atan2`, `</`).

    `matching` is there where both sides are instant vectors.
    """

    op: str
    left: Expr
    right: Expr
    matching: VectorMatching | None
    return_bool: bool
    span: Span
    op_span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign before an expression that is not a number literal."""

    op: str
    expr: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Paren:
    """`( expr )`."""

    expr: Expr
    span: Span


Expr = (
    NumberLiteral
    | StringLiteral
    | VectorSelector
    | MatrixSelector
    | Subquery
    | Call
    | Aggregate
    | Binary
    | Unary
    | Paren
)
