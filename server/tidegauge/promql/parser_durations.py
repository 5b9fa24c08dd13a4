"""Arithmetic over durations: in brackets, where everything belongs to it, and behind `offset`.

Behind `offset` the shortest reading wins: `offset 5m - 3` is `(offset 5m) - 3`, but
`offset (5m) - 3` is all duration. The rules of Prometheus's grammar conflict there, and this is
how its generator resolves them. Source: Prometheus `promql/parser/generated_parser.y`.
"""

from __future__ import annotations

from dataclasses import replace

from tidegauge.promql.durations import NS_PER_S
from tidegauge.promql.nodes import Duration, DurationExpr, NumberLiteral, Span
from tidegauge.promql.parse_error import Unexpected
from tidegauge.promql.parser_cursor import Cursor
from tidegauge.promql.parser_literals import NUMBERS, SIGNS, apply_sign, parse_number_literal
from tidegauge.promql.tokens import POWER, PRECEDENCE, Token

_MAX_S = 2**63 / NS_PER_S
_OPERATORS = frozenset("+-*/%^")
_BARE_CALLS = frozenset(("step", "range"))
_CHOICES = frozenset(("max_of", "min_of"))


def parse_positive_duration(cursor: Cursor) -> Duration:
    """Take the duration expression of a range or step; a plain one must be above zero."""
    expr = parse_duration_expr(cursor)
    if isinstance(expr, NumberLiteral) and expr.value <= 0:
        raise cursor.error("duration must be greater than 0", expr.span)
    return expr


def parse_duration_expr(cursor: Cursor, least_precedence: int = 0) -> Duration:
    """Take the longest duration expression whose operators bind at least this tightly."""
    cursor.deepen()
    expr = _continue(cursor, _parse_operand(cursor), least_precedence)
    cursor.rise()
    return expr


def parse_offset(cursor: Cursor) -> Duration:
    """Take what stands behind `offset`, as little as makes sense."""
    kind = cursor.peek().kind
    if kind in SIGNS:
        return _parse_signed_offset(cursor)
    operand = _parse_operand(cursor)
    return _continue(cursor, operand, 0) if kind == "(" else operand


def _parse_signed_offset(cursor: Cursor) -> Duration:
    sign = cursor.take()
    kind = cursor.peek().kind
    if kind in NUMBERS:
        return _check_range(cursor, apply_sign(sign, parse_number_literal(cursor)), sign)
    if kind == "(":
        cursor.take()
        inner = parse_duration_expr(cursor)
        cursor.expect(")")
        return _apply_sign(cursor, sign, _wrap(inner, inner.span))
    if kind in _CHOICES:
        choice = _parse_choice(cursor)
        # Prometheus leaves the closing parenthesis out here, and only here.
        end = choice.right.span.end if choice.right is not None else choice.span.end
        return _apply_sign(cursor, sign, replace(choice, span=Span(choice.span.start, end)))
    if kind in SIGNS:
        signed = _apply_sign(cursor, sign, parse_duration_expr(cursor, PRECEDENCE[POWER]))
        return _continue(cursor, signed, 0)
    return _apply_sign(cursor, sign, _parse_operand(cursor))


def _continue(cursor: Cursor, left: Duration, least_precedence: int) -> Duration:
    links = 0
    while True:
        kind = cursor.peek().kind
        if kind not in _OPERATORS or PRECEDENCE[kind] < least_precedence:
            return left
        operator = cursor.take()
        # The engine walks these recursively, to the left as well.
        links += 1
        cursor.check_depth(links)
        above = PRECEDENCE[kind] if kind == POWER else PRECEDENCE[kind] + 1
        left = _combine(cursor, operator, left, parse_duration_expr(cursor, above))


def _combine(cursor: Cursor, operator: Token, left: Duration, right: Duration) -> DurationExpr:
    if operator.kind in "/%" and isinstance(right, NumberLiteral) and right.value == 0:
        what = "division" if operator.kind == "/" else "modulo"
        raise cursor.error(f"{what} by zero", operator)
    return DurationExpr(operator.kind, left, right, Span(left.span.start, right.span.end))


def _parse_operand(cursor: Cursor) -> Duration:
    token = cursor.peek()
    if token.kind in NUMBERS:
        return _check_range(cursor, parse_number_literal(cursor), token)
    if token.kind in SIGNS:
        cursor.take()
        return _apply_sign(cursor, token, parse_duration_expr(cursor, PRECEDENCE[POWER]))
    if token.kind in _BARE_CALLS:
        cursor.take()
        cursor.expect("(")
        return DurationExpr(token.kind, None, None, Span(token.start, cursor.expect(")").end))
    if token.kind in _CHOICES:
        return _parse_choice(cursor)
    if token.kind == "(":
        cursor.take()
        inner = parse_duration_expr(cursor)
        return _wrap(inner, Span(token.start, cursor.expect(")").end))
    raise Unexpected(token)


def _parse_choice(cursor: Cursor) -> DurationExpr:
    token = cursor.take()
    cursor.expect("(")
    left = parse_duration_expr(cursor)
    cursor.expect(",")
    right = parse_duration_expr(cursor)
    return DurationExpr(token.kind, left, right, Span(token.start, cursor.expect(")").end))


def _check_range(cursor: Cursor, number: NumberLiteral, place: Token) -> NumberLiteral:
    # Written so that NaN is out of range, too.
    if not abs(number.value) <= _MAX_S:
        raise cursor.error("duration out of range", place)
    return number


def _wrap(expr: Duration, number_span: Span) -> DurationExpr:
    """Mark an expression as parenthesised; a number becomes a sign for that."""
    if isinstance(expr, DurationExpr):
        return replace(expr, wrapped=True)
    return DurationExpr("+", None, expr, number_span, wrapped=True)


def _apply_sign(cursor: Cursor, sign: Token, expr: Duration) -> Duration:
    if isinstance(expr, NumberLiteral):
        return _check_range(cursor, apply_sign(sign, expr), sign)
    if sign.kind == "+":
        return expr
    return DurationExpr("-", None, expr, Span(sign.start, expr.span.end))
