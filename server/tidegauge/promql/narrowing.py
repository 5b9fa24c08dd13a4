"""A query narrowed from outside: further matchers in every one of its selectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tidegauge.model.matchers import Matcher
from tidegauge.promql import nodes
from tidegauge.promql.nodes import Expr


def narrow(expr: Expr, matchers: Sequence[Matcher]) -> Expr:
    """Return a tree whose every selector has these matchers, too.

    The data-label selector of `info()` stays as it is: it chooses labels, not series.
    """
    match expr:
        case nodes.VectorSelector():
            return _narrow_selector(expr, matchers)
        case nodes.MatrixSelector(selector=selector):
            return replace(expr, selector=_narrow_selector(selector, matchers))
        case nodes.Binary():
            return _narrow_chain(expr, matchers)
        case nodes.Paren() | nodes.Unary() | nodes.Subquery():
            return replace(expr, expr=narrow(expr.expr, matchers))
        case nodes.Aggregate(expr=inner, param=param):
            narrowed = None if param is None else narrow(param, matchers)
            return replace(expr, expr=narrow(inner, matchers), param=narrowed)
        case nodes.Call(args=args):
            return replace(expr, args=tuple(narrow(arg, matchers) for arg in args))
        case nodes.NumberLiteral() | nodes.StringLiteral():
            return expr


def _narrow_selector(
    selector: nodes.VectorSelector, matchers: Sequence[Matcher]
) -> nodes.VectorSelector:
    if selector.bypass_empty_check:
        return selector
    # In front, since the matcher of a written name stands last.
    return replace(selector, matchers=(*matchers, *selector.matchers))


def _narrow_chain(expr: nodes.Binary, matchers: Sequence[Matcher]) -> Expr:
    # A long sum is a tree as deep as it has terms: go down its left side without recursion.
    chain = [expr]
    while isinstance(chain[-1].left, nodes.Binary):
        chain.append(chain[-1].left)
    left = narrow(chain[-1].left, matchers)
    for node in reversed(chain):
        left = replace(node, left=left, right=narrow(node.right, matchers))
    return left
