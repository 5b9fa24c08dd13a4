"""The selectors of a query, found or rewritten from outside: with further matchers, say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tidegauge.model.matchers import Matcher
from tidegauge.promql import nodes
from tidegauge.promql.nodes import Expr


def narrow(expr: Expr, matchers: Sequence[Matcher]) -> Expr:
    """Return a tree whose every selector has these matchers, too.

    The data-label selector of `info()` stays as it is: it chooses labels, not series.
    """

    # In front, since the matcher of a written name stands last.
    def add(selector: nodes.VectorSelector) -> nodes.VectorSelector:
        return replace(selector, matchers=(*matchers, *selector.matchers))

    return rewrite_selectors(expr, add)


def find_selectors(expr: Expr) -> list[nodes.VectorSelector]:
    """Return the selectors of a tree that choose series, from left to right."""
    found: list[nodes.VectorSelector] = []

    def note(selector: nodes.VectorSelector) -> nodes.VectorSelector:
        found.append(selector)
        return selector

    rewrite_selectors(expr, note)
    return found


def rewrite_selectors(
    expr: Expr, rewrite: Callable[[nodes.VectorSelector], nodes.VectorSelector]
) -> Expr:
    """Return a tree with another in the place of every selector that chooses series."""
    match expr:
        case nodes.VectorSelector():
            return expr if expr.bypass_empty_check else rewrite(expr)
        case nodes.MatrixSelector(selector=selector):
            return replace(expr, selector=rewrite(selector))
        case nodes.Binary():
            return _rewrite_chain(expr, rewrite)
        case nodes.Paren() | nodes.Unary() | nodes.Subquery():
            return replace(expr, expr=rewrite_selectors(expr.expr, rewrite))
        case nodes.Aggregate(expr=inner, param=param):
            other = None if param is None else rewrite_selectors(param, rewrite)
            return replace(expr, expr=rewrite_selectors(inner, rewrite), param=other)
        case nodes.Call(args=args):
            return replace(expr, args=tuple(rewrite_selectors(arg, rewrite) for arg in args))
        case nodes.NumberLiteral() | nodes.StringLiteral():
            return expr


def _rewrite_chain(
    expr: nodes.Binary, rewrite: Callable[[nodes.VectorSelector], nodes.VectorSelector]
) -> Expr:
    # A long sum is a tree as deep as it has terms: go down its left side without recursion.
    chain = [expr]
    while isinstance(chain[-1].left, nodes.Binary):
        chain.append(chain[-1].left)
    left = rewrite_selectors(chain[-1].left, rewrite)
    for node in reversed(chain):
        left = replace(node, left=left, right=rewrite_selectors(node.right, rewrite))
    return left
