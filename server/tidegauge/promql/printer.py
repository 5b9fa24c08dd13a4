"""Syntax tree to text, as Prometheus prints it; what is printed parses to the same tree again.

Where Prometheus prints something that reads differently (a range below a millisecond, arithmetic
in an offset, a label called `without`), this prints what reads the same.
Source: Prometheus `promql/parser/printer.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from tidegauge.model.floats import format_go_f, format_go_g
from tidegauge.model.labels import METRIC_NAME
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.promql.durations import format_range, format_seconds
from tidegauge.promql.nodes import (
    NO_SHIFT,
    Aggregate,
    Binary,
    Call,
    Card,
    Duration,
    DurationExpr,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    TimeShift,
    Unary,
    VectorMatching,
    VectorSelector,
)
from tidegauge.promql.quoting import quote, to_bytes
from tidegauge.promql.tokens import GROUPING_NAMES, IDENTIFIER, KEYWORDS, POWER

_PLAIN_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ARITHMETIC = frozenset("+-*/%^")
_GROUPS = {Card.MANY_TO_ONE: "group_left", Card.ONE_TO_MANY: "group_right"}


def print_expr(expr: Expr) -> str:
    """Return the text of an expression; a long chain of operators is no burden."""
    chain: list[Binary] = []
    while isinstance(expr, Binary):
        chain.append(expr)
        expr = expr.left
    last: Expr = expr
    text = _print_operand(expr)
    if chain and chain[-1].op == POWER:
        # A sign before a power would be read as the sign of the whole power.
        text = text.removeprefix("+")
    parts: list[str] = []
    for node in reversed(chain):
        parts.append(close_offset(node, last, text))
        parts.append(f" {print_operator(node)} ")
        last, text = node.right, print_expr(node.right)
    return "".join(parts) + text


def print_operator(node: Binary) -> str:
    """Return what stands between the two sides: the operator and how they are matched."""
    flag = " bool" if node.return_bool else ""
    return f"{node.op}{flag}{'' if node.matching is None else _print_matching(node.matching)}"


def print_aggregation_head(node: Aggregate) -> str:
    """Return what stands before an aggregation's parenthesis."""
    if not node.without and not node.grouping:
        return node.op
    return f"{node.op} {'without' if node.without else 'by'} ({_print_labels(node.grouping)}) "


def print_subquery_suffix(node: Subquery) -> str:
    """Return what stands behind a subquery's expression."""
    length = _print_length(node.range_ns, node.range_expr)
    has_step = node.step_ns != 0 or node.step_expr is not None
    step = _print_length(node.step_ns, node.step_expr) if has_step else ""
    return f"[{length}:{step}]{_print_at(node.shift)}{_print_offset(node.shift)}"


def close_offset(node: Binary, left: Expr, text: str) -> str:
    """Keep an operator out of an offset in parentheses that ends its left side.

    Args:
        node: whose operator follows.
        left: what it follows.
        text: how that is printed.
    Returns:
        The text with a sign before the offset where it needs one.
    """
    if node.op not in _ARITHMETIC:
        return text
    expr = left
    while isinstance(expr, Binary | Unary):
        expr = expr.right if isinstance(expr, Binary) else expr.expr
    match expr:
        case VectorSelector(shift=shift) | Subquery(shift=shift):
            offset = shift.offset_expr
        case MatrixSelector(selector=selector):
            offset = selector.shift.offset_expr
        case _:
            return text
    if offset is None or not offset.wrapped:
        return text
    start = len(text) - len(print_duration(offset))
    return f"{text[:start]}+{text[start:]}"


def print_duration(expr: Duration) -> str:
    """Return the text of a duration expression."""
    if isinstance(expr, NumberLiteral):
        return _print_number(expr)
    return f"({_print_bare(expr)})" if expr.wrapped else _print_bare(expr)


def _print_operand(expr: Expr) -> str:
    match expr:
        case NumberLiteral():
            return _print_number(expr)
        case StringLiteral(value=value):
            return _quote(value)
        case VectorSelector():
            return _print_selector(expr)
        case MatrixSelector():
            return _print_matrix(expr)
        case Subquery():
            return print_expr(expr.expr) + print_subquery_suffix(expr)
        case Call(func=func, args=args):
            return f"{func}({', '.join(map(print_expr, args))})"
        case Aggregate():
            return _print_aggregate(expr)
        case Unary(op=op, expr=inner):
            return op + print_expr(inner)
        case Paren(expr=inner):
            return f"({print_expr(inner)})"
        case Binary():
            return print_expr(expr)


def _quote(text: str) -> str:
    # The lexer takes a replacement character for bytes that are no UTF-8.
    return quote(text).replace("\ufffd", "\\ufffd")


def _print_number(node: NumberLiteral) -> str:
    if not node.duration:
        return format_go_f(node.value)
    sign = "-" if node.value < 0 else ""
    return sign + format_seconds(abs(node.value))


def _print_selector(node: VectorSelector) -> str:
    extension = f" {node.extension}" if node.extension else ""
    shift = node.shift
    return f"{_print_matchers(node)}{_print_at(shift)}{extension}{_print_offset(shift)}"


def _print_matchers(node: VectorSelector) -> str:
    shown = [_print_matcher(m) for m in node.matchers if not _repeats_name(m, node.name)]
    braces = "{" + ",".join(sorted(shown, key=to_bytes)) + "}" if shown else ""
    return node.name + braces


def _repeats_name(matcher: Matcher, name: str) -> bool:
    return (
        matcher.name == METRIC_NAME
        and matcher.type is MatchType.EQUAL
        and matcher.value == name != ""
    )


def _print_matcher(matcher: Matcher) -> str:
    name = matcher.name if _PLAIN_NAME.fullmatch(matcher.name) else _quote(matcher.name)
    return f"{name}{matcher.type.value}{_quote(matcher.value)}"


def _print_matrix(node: MatrixSelector) -> str:
    bare = replace(node.selector, shift=NO_SHIFT, extension="")
    extension = f" {node.selector.extension}" if node.selector.extension else ""
    shift = node.selector.shift
    length = _print_length(node.range_ns, node.range_expr)
    suffix = f"{extension}{_print_at(shift)}{_print_offset(shift)}"
    return f"{_print_selector(bare)}[{length}]{suffix}"


def _print_length(length_ns: int, expr: DurationExpr | None) -> str:
    return format_range(length_ns) if expr is None else print_duration(expr)


def _print_at(shift: TimeShift) -> str:
    if shift.at_ms is not None:
        whole, rest = divmod(abs(shift.at_ms), 1000)
        return f" @ {'-' if shift.at_ms < 0 else ''}{whole}.{rest:03d}"
    return "" if shift.at_anchor is None else f" @ {shift.at_anchor.value}()"


def _print_offset(shift: TimeShift) -> str:
    if shift.offset_expr is not None:
        return f" offset {_print_offset_expr(shift.offset_expr)}"
    if shift.offset_ns == 0:
        return ""
    return f" offset {'-' if shift.offset_ns < 0 else ''}{format_range(abs(shift.offset_ns))}"


def _print_offset_expr(expr: DurationExpr) -> str:
    text = print_duration(expr)
    signed = expr if expr.left is not None else expr.right
    if not _is_arithmetic(signed) or expr.wrapped or text.startswith(("(", "--")):
        return text
    # Arithmetic belongs to an offset only behind a parenthesis or a second sign.
    return f"+{text}" if text.startswith("-") else f"++{text}"


def _is_arithmetic(expr: Duration | None) -> bool:
    if not isinstance(expr, DurationExpr) or expr.wrapped:
        return False
    return expr.op in _ARITHMETIC and expr.left is not None


def _print_bare(expr: DurationExpr) -> str:
    left = "" if expr.left is None else print_duration(expr.left)
    right = "" if expr.right is None else print_duration(expr.right)
    if expr.op in ("step", "range"):
        return f"{expr.op}()"
    if expr.op in ("max_of", "min_of"):
        return f"{expr.op}({left}, {right})"
    if expr.left is None:
        return right if expr.op == "+" else f"-{right}"
    return f"{left} {expr.op} {right}"


def _print_aggregate(node: Aggregate) -> str:
    param = "" if node.param is None else f"{print_expr(node.param)}, "
    return f"{print_aggregation_head(node)}({param}{print_expr(node.expr)})"


def _print_labels(labels: Iterable[str]) -> str:
    return ", ".join(name if _is_bare_label(name) else _quote(name) for name in labels)


def _is_bare_label(name: str) -> bool:
    kind = KEYWORDS.get(name.lower(), IDENTIFIER)
    return _PLAIN_NAME.fullmatch(name) is not None and kind in GROUPING_NAMES


def _print_matching(matching: VectorMatching) -> str:
    group = _GROUPS.get(matching.card)
    parts = []
    if matching.labels or matching.on or group is not None:
        clause = "on" if matching.on else "ignoring"
        parts.append(f" {clause} ({_print_labels(matching.labels)})")
    if group is not None:
        parts.append(f" {group} ({_print_labels(matching.include)})")
    return "".join(parts) + _print_fills(matching.fill_left, matching.fill_right)


def _print_fills(left: float | None, right: float | None) -> str:
    if left is not None and left == right:
        return f" fill ({format_go_g(left)})"
    left_text = "" if left is None else f" fill_left ({format_go_g(left)})"
    right_text = "" if right is None else f" fill_right ({format_go_g(right)})"
    return left_text + right_text
