"""The same query with `@` on every selector: it must give the same at any evaluation time.

Source: promql.md §3; Prometheus `promql/promqltest` (the repetition of instant evals).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from tidegauge.promql import nodes
from tidegauge.promql.engine.prepare import CONTEXT_FUNCTIONS, STEP_FUNCTIONS

_TIME_FUNCTIONS = STEP_FUNCTIONS | CONTEXT_FUNCTIONS

_CONTEXT_CALL = re.compile(r"(start|end|range|step)\(\)")


def has_context_call(text: str) -> bool:
    """Return whether a query asks for its own range, so that another range changes it."""
    return _CONTEXT_CALL.search(text) is not None


def repetition_times_ms(time_ms: int) -> tuple[int, ...]:
    """Return the times at which a pinned query is asked again."""
    if time_ms == 0:
        return (-1000, 0, 1000)
    # Go divides towards zero; the times of scripts are never negative.
    return (-10 * time_ms, 0, time_ms // 5, time_ms, 10 * time_ms)


def pin(expr: nodes.Expr, time_ms: int) -> nodes.Expr | None:
    """Return the tree with `@ time_ms` on all selectors and subqueries that have no time.

    What is inside a subquery is not touched, since the subquery gets its time.
    Returns:
        None where the query depends on the evaluation time all the same.
    """
    if any(isinstance(node, nodes.Call) and node.func in _TIME_FUNCTIONS for node in iterate(expr)):
        return None
    return _pin(expr, time_ms)


def iterate(expr: nodes.Expr, *, into_subqueries: bool = False) -> Iterator[nodes.Expr]:
    """Yield the nodes of a tree."""
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        yield node
        if into_subqueries or not isinstance(node, nodes.Subquery):
            waiting += _children(node)


def _children(node: nodes.Expr) -> list[nodes.Expr]:
    match node:
        case nodes.MatrixSelector():
            return [node.selector]
        case nodes.Subquery() | nodes.Unary() | nodes.Paren():
            return [node.expr]
        case nodes.Call():
            return list(node.args)
        case nodes.Aggregate():
            return [node.expr] if node.param is None else [node.expr, node.param]
        case nodes.Binary():
            return [node.left, node.right]
    return []


def _pin(expr: nodes.Expr, time_ms: int) -> nodes.Expr:
    match expr:
        case nodes.VectorSelector() | nodes.Subquery():
            if expr.shift.at_ms is not None:
                return expr
            shift = replace(expr.shift, at_ms=time_ms, at_anchor=None)
            return replace(expr, shift=shift)
        case nodes.MatrixSelector():
            selector = _pin(expr.selector, time_ms)
            assert isinstance(selector, nodes.VectorSelector)
            return replace(expr, selector=selector)
        case nodes.Unary() | nodes.Paren():
            return replace(expr, expr=_pin(expr.expr, time_ms))
        case nodes.Call():
            return replace(expr, args=tuple(_pin(one, time_ms) for one in expr.args))
        case nodes.Aggregate():
            param = None if expr.param is None else _pin(expr.param, time_ms)
            return replace(expr, expr=_pin(expr.expr, time_ms), param=param)
        case nodes.Binary():
            return replace(expr, left=_pin(expr.left, time_ms), right=_pin(expr.right, time_ms))
    return expr
