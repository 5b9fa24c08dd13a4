"""Long expressions over several lines, as Prometheus's `format_query` lays them out.

What fits on a line stays on it; what does not has its parts on lines of their own, further in.
Source: Prometheus `promql/parser/prettier.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tidegauge.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Expr,
    Paren,
    Subquery,
    Unary,
)
from tidegauge.promql.printer import (
    close_offset,
    print_aggregation_head,
    print_expr,
    print_operator,
    print_subquery_suffix,
)

LINE_BYTES = 100
MAX_LEVELS = 100
"""Deeper parts stay on one line: each operator of a chain is a level, and indents would pile up."""

_INDENT = "  "


def prettify(expr: Expr) -> str:
    """Return the text of an expression, broken into lines where it is long."""
    return _pretty(expr, 0)


def _pretty(expr: Expr, level: int) -> str:
    match expr:
        case Unary(op=op, expr=inner):
            return _indent(level) + op + _pretty(inner, level).strip()
        case Subquery() if not _is_long(expr, level):
            # Prometheus forgets the indent here.
            return print_expr(expr)
        case Subquery(expr=inner):
            return _pretty(inner, level) + print_subquery_suffix(expr)
        case Aggregate() | Call() | Paren() if _is_long(expr, level):
            return _pretty_enclosed(expr, level)
        case Binary():
            return _pretty_chain(expr, level)
    return _indent(level) + print_expr(expr)


def _pretty_enclosed(expr: Aggregate | Call | Paren, level: int) -> str:
    match expr:
        case Aggregate(param=param, expr=inner):
            head = print_aggregation_head(expr)
            parts: Iterable[Expr] = (inner,) if param is None else (param, inner)
        case Call(func=func, args=args):
            head, parts = func, args
        case Paren(expr=inner):
            head, parts = "", (inner,)
    inside = ",\n".join(_pretty(part, level + 1) for part in parts)
    return f"{_indent(level)}{head}(\n{inside}\n{_indent(level)})"


def _pretty_chain(expr: Binary, level: int) -> str:
    """Lay out `a + b + …`, whose left sides lie one in the other, each a level further in."""
    chain: list[tuple[Binary, int]] = []
    rest: Expr = expr
    while isinstance(rest, Binary) and len(chain) + level < MAX_LEVELS:
        chain.append((rest, level + len(chain)))
        rest = rest.left
    text = _pretty(rest, level + len(chain)) if chain else _indent(level) + print_expr(rest)
    fits = not isinstance(rest, Binary)
    for node, depth in reversed(chain):
        # A left side is a part of the whole, so that none fits once one did not.
        fits = fits and not _is_long(node, depth)
        if fits:
            text = _indent(depth) + print_expr(node)
            continue
        left = close_offset(node, node.left, text)
        right = _pretty(node.right, depth + 1)
        text = f"{left}\n{_indent(depth)}{print_operator(node)}\n{right}"
    return text


def _is_long(expr: Expr, level: int) -> bool:
    return level < MAX_LEVELS and len(print_expr(expr).encode("utf-8", "replace")) > LINE_BYTES


def _indent(level: int) -> str:
    return _INDENT * level
