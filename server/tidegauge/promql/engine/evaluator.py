"""The walk over the tree: each node evaluated once, for all steps together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidegauge.promql import nodes
from tidegauge.promql.engine.aggregate import evaluate_aggregate
from tidegauge.promql.engine.binary import SET_OPERATORS, combine_numbers, combine_with_scalar
from tidegauge.promql.engine.context import Grid, Query
from tidegauge.promql.engine.errors import EvaluationFailed
from tidegauge.promql.engine.functions import evaluate_call
from tidegauge.promql.engine.matching import VectorOperation
from tidegauge.promql.engine.mixed import negate
from tidegauge.promql.engine.prepare import Prepared
from tidegauge.promql.engine.selectors import select_smoothed, select_vector
from tidegauge.promql.engine.sets import combine_sets
from tidegauge.promql.engine.vectors import drop_names
from tidegauge.promql.value import Scalar, Text, Value, Vector


class Evaluator:
    """Evaluates the nodes of one prepared tree.

    Args:
        query: the query under way.
        prepared: the tree.
    """

    def __init__(self, query: Query, prepared: Prepared) -> None:
        self.query = query
        self._fixed = prepared.fixed

    def evaluate(self, expr: nodes.Expr, grid: Grid) -> Value:
        """Return the value of an expression at every step; what is fixed is evaluated once."""
        self.query.check()
        if grid.count > 1 and id(expr) in self._fixed:
            return self._repeat(self._evaluate(expr, grid.first()), grid.count)
        return self._evaluate(expr, grid)

    def vector(self, expr: nodes.Expr, grid: Grid) -> Vector:
        """Return the value of an expression that is an instant vector."""
        value = self.evaluate(expr, grid)
        assert isinstance(value, Vector)
        return value

    def scalar(self, expr: nodes.Expr, grid: Grid) -> np.ndarray:
        """Return the value of an expression that is a scalar: float64, shape (T,)."""
        value = self.evaluate(expr, grid)
        assert isinstance(value, Scalar)
        return value.values

    def _evaluate(self, expr: nodes.Expr, grid: Grid) -> Value:
        match expr:
            case nodes.NumberLiteral():
                return Scalar(np.full(grid.count, expr.value))
            case nodes.StringLiteral():
                return Text(expr.value)
            case nodes.Paren():
                return self.evaluate(expr.expr, grid)
            case nodes.VectorSelector() if expr.extension:
                return select_smoothed(self, expr, grid)
            case nodes.VectorSelector():
                return select_vector(self, expr, grid)[0]
            case nodes.Call():
                return evaluate_call(self, expr, grid)
            case nodes.Aggregate():
                return evaluate_aggregate(self, expr, grid)
            case nodes.Unary():
                return self._unary(expr, grid)
            case nodes.Binary():
                return self._binary(expr, grid)
            case nodes.MatrixSelector() | nodes.Subquery():
                raise EvaluationFailed("a range vector has no value at a step")

    def _unary(self, expr: nodes.Unary, grid: Grid) -> Value:
        value = self.evaluate(expr.expr, grid)
        if expr.op == "+":
            return value
        if isinstance(value, Scalar):
            return Scalar(-value.values)
        assert isinstance(value, Vector)
        negated = replace(value, values=-value.values, histograms=negate(value.histograms))
        return drop_names(negated, self.query.options)

    def _binary(self, expr: nodes.Binary, grid: Grid) -> Value:
        # Down the left side without recursion, and only as far as it is not fixed.
        chain = [expr]
        while isinstance(left := chain[-1].left, nodes.Binary):
            if grid.count > 1 and id(left) in self._fixed:
                break
            chain.append(left)
        value = self.evaluate(chain[-1].left, grid)
        for node in reversed(chain):
            value = self._combine(node, value, self.evaluate(node.right, grid))
        return value

    def _combine(self, expr: nodes.Binary, left: Value, right: Value) -> Value:
        if isinstance(left, Vector) and isinstance(right, Vector):
            if expr.op in SET_OPERATORS:
                assert expr.matching is not None
                return combine_sets(expr.op, left, right, expr.matching)
            return VectorOperation(self.query, expr).apply(left, right)
        if isinstance(left, Vector):
            assert isinstance(right, Scalar)
            return combine_with_scalar(self.query, expr, left, right.values, swapped=False)
        assert isinstance(left, Scalar)
        if isinstance(right, Vector):
            return combine_with_scalar(self.query, expr, right, left.values, swapped=True)
        assert isinstance(right, Scalar)
        return Scalar(combine_numbers(expr.op, left.values, right.values))

    def _repeat(self, value: Value, steps: int) -> Value:
        """Return the value of one step for all steps; the arrays are views, never written to."""
        if isinstance(value, Scalar):
            return Scalar(np.broadcast_to(value.values, (steps,)))
        if isinstance(value, Vector):
            self.query.require_points("expression", len(value.labels), steps)
            shape = (len(value.labels), steps)
            values, present = (np.broadcast_to(a, shape) for a in (value.values, value.present))
            histograms = value.histograms
            if histograms is not None:
                histograms = np.broadcast_to(histograms, shape)
            return Vector(value.labels, values, present, value.drop_name, histograms)
        return value
