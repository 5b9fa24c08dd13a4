"""What is done to a tree once per query, before it is evaluated.

Durations get their values, `start()`, `end()`, `step()` and `range()` become numbers, anchors
become times, parentheses around arguments go, and the subtrees that have the same value at
every step are found.
Source: promql.md §6 (INVARIANT); Prometheus `PreprocessExpr`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from tidegauge.model.matchers import Matcher
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import unwrap
from tidegauge.promql.engine.durations import resolve_duration_ns
from tidegauge.promql.nodes import Anchor, Expr, TimeShift

CONTEXT_FUNCTIONS = frozenset({"start", "end", "step", "range"})
"""What they give depends on the query's own grid."""

STEP_FUNCTIONS = frozenset({
    "days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month",
    "year", "predict_linear", "time", "timestamp",
})  # fmt: skip
"""Their value moves with the step even where their arguments do not."""


# What needs the buckets of native histograms on its way, and what needs none of them.
_OF_BUCKETS = frozenset({"histogram_quantile", "histogram_quantiles", "histogram_fraction"})
_OF_TOTALS = frozenset({"histogram_count", "histogram_sum", "histogram_avg"})
_TRIMS = frozenset({"</", ">/"})


@dataclass(slots=True)
class Prepared:
    """A tree made ready for one query.

    Args:
        expr: the tree.
        fixed: the ids (`id(node)`) of its nodes that have one value for all steps.
        repeated: the matchers of selectors that stand in it more than once.
    """

    expr: Expr
    fixed: frozenset[int]
    repeated: frozenset[tuple[Matcher, ...]]


def prepare(expr: Expr, *, start_ms: int, end_ms: int, step_ms: int) -> Prepared:
    """Make a tree ready for a query.

    Raises:
        BadDuration: a duration expression has no usable value.
    """
    preparer = _Preparer(start_ms, end_ms, step_ms)
    prepared, _ = preparer.visit(expr)
    repeated = {matchers for matchers, count in preparer.selected.items() if count > 1}
    return Prepared(prepared, frozenset(preparer.fixed), frozenset(repeated))


class _Preparer:
    def __init__(self, start_ms: int, end_ms: int, step_ms: int) -> None:
        self._start_ms, self._end_ms, self._step_ms = start_ms, end_ms, step_ms
        self.fixed: set[int] = set()
        self.selected: Counter[tuple[Matcher, ...]] = Counter()
        self._asking_totals = self._asking_buckets = 0

    def visit(self, expr: Expr) -> tuple[Expr, bool]:
        """Return the tree made ready, and whether it is the same at every step."""
        match expr:
            case nodes.NumberLiteral() | nodes.StringLiteral():
                return expr, True
            case nodes.Binary():
                return self._binary(expr)
            case nodes.Paren() | nodes.Unary():
                inner, fixed = self.visit(expr.expr)
                return self._mark(replace(expr, expr=inner), fixed)
            case nodes.VectorSelector():
                selector = self._selector(expr)
                return self._mark(selector, selector.shift.at_ms is not None)
            case nodes.MatrixSelector():
                return self._matrix(expr)
            case nodes.Subquery():
                return self._subquery(expr)
            case nodes.Aggregate():
                return self._aggregate(expr)
            case nodes.Call():
                return self._call(expr)

    def _mark(self, expr: Expr, fixed: bool) -> tuple[Expr, bool]:
        if fixed:
            self.fixed.add(id(expr))
        return expr, fixed

    def _binary(self, expr: nodes.Binary) -> tuple[Expr, bool]:
        # A long sum is a tree as deep as it has terms: go down its left side without recursion.
        chain = [expr]
        while isinstance(chain[-1].left, nodes.Binary):
            chain.append(chain[-1].left)
        self._asking_buckets += sum(node.op in _TRIMS for node in chain)
        left, left_fixed = self.visit(chain[-1].left)
        for node in reversed(chain):
            right, right_fixed = self.visit(node.right)
            left, left_fixed = self._mark(
                replace(node, left=left, right=right), left_fixed and right_fixed
            )
            self._asking_buckets -= node.op in _TRIMS
        return left, left_fixed

    def _selector(self, expr: nodes.VectorSelector) -> nodes.VectorSelector:
        self.selected[expr.matchers] += 1
        only_totals = self._asking_totals > 0 and not self._asking_buckets
        return replace(expr, shift=self._shift(expr.shift), only_totals=only_totals)

    def _matrix(self, expr: nodes.MatrixSelector) -> tuple[Expr, bool]:
        selector = self._selector(expr.selector)
        range_ns = self._duration_ns(expr.range_expr, expr.range_ns)
        matrix = replace(expr, selector=selector, range_ns=range_ns, range_expr=None)
        return matrix, selector.shift.at_ms is not None

    def _subquery(self, expr: nodes.Subquery) -> tuple[Expr, bool]:
        self._asking_buckets += 1
        inner, _ = self.visit(expr.expr)
        self._asking_buckets -= 1
        subquery = replace(
            expr,
            expr=inner,
            range_ns=self._duration_ns(expr.range_expr, expr.range_ns),
            range_expr=None,
            step_ns=self._duration_ns(expr.step_expr, expr.step_ns),
            step_expr=None,
            shift=self._shift(expr.shift),
        )
        return subquery, subquery.shift.at_ms is not None

    def _aggregate(self, expr: nodes.Aggregate) -> tuple[Expr, bool]:
        inner, fixed = self.visit(unwrap(expr.expr))
        param = None
        if expr.param is not None:
            param, param_fixed = self.visit(unwrap(expr.param))
            fixed = fixed and param_fixed
        return self._mark(replace(expr, expr=inner, param=param), fixed)

    def _call(self, expr: nodes.Call) -> tuple[Expr, bool]:
        if expr.func in CONTEXT_FUNCTIONS:
            return nodes.NumberLiteral(self._context_value(expr.func), expr.span), True
        self._asking_totals += expr.func in _OF_TOTALS
        self._asking_buckets += expr.func in _OF_BUCKETS
        visited = [self.visit(unwrap(arg)) for arg in expr.args]
        self._asking_totals -= expr.func in _OF_TOTALS
        self._asking_buckets -= expr.func in _OF_BUCKETS
        call = replace(expr, args=tuple(arg for arg, _ in visited))
        fixed = all(arg_fixed for _, arg_fixed in visited)
        # timestamp() of a bare selector gives the samples' own times.
        own_times = expr.func == "timestamp" and isinstance(call.args[0], nodes.VectorSelector)
        return self._mark(call, fixed and (own_times or expr.func not in STEP_FUNCTIONS))

    def _context_value(self, func: str) -> float:
        if func == "start":
            return self._start_ms / 1000
        if func == "end":
            return self._end_ms / 1000
        if func == "range":
            return (self._end_ms - self._start_ms) / 1000
        return self._step_ms / 1000 if self._start_ms != self._end_ms else 0.0

    def _shift(self, shift: TimeShift) -> TimeShift:
        if shift.offset_expr is None and shift.at_anchor is None:
            return shift
        at_ms = shift.at_ms
        if shift.at_anchor is not None:
            at_ms = self._start_ms if shift.at_anchor is Anchor.START else self._end_ms
        offset_ns = self._duration_ns(shift.offset_expr, shift.offset_ns, negative=True)
        return TimeShift(offset_ns=offset_ns, at_ms=at_ms)

    def _duration_ns(
        self, expr: nodes.DurationExpr | None, plain_ns: int, *, negative: bool = False
    ) -> int:
        if expr is None:
            return plain_ns
        return resolve_duration_ns(
            expr,
            step_ms=self._step_ms,
            range_ms=self._end_ms - self._start_ms,
            negative=negative,
        )
