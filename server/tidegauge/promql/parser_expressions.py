"""Expressions: operands, and the operators between them by precedence, without recursion.

Only parentheses, calls and aggregations recurse. The end of an aggregation and of a shifted
selector depends on the look-ahead; where it is read follows Prometheus's generated parser.
Source: Prometheus `promql/parser/generated_parser.y` and `parse.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.promql import tokens
from tidegauge.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Expr,
    NumberLiteral,
    Paren,
    Span,
    StringLiteral,
    Unary,
)
from tidegauge.promql.parse_error import Unexpected
from tidegauge.promql.parser_cursor import Cursor
from tidegauge.promql.parser_literals import (
    NUMBERS,
    SIGNS,
    apply_sign,
    parse_number_literal,
    unquote_token,
)
from tidegauge.promql.parser_matching import Modifiers, parse_grouping, parse_modifiers
from tidegauge.promql.parser_selectors import parse_vector_selector
from tidegauge.promql.parser_suffixes import parse_suffixes
from tidegauge.promql.quoting import quote
from tidegauge.promql.signatures import AGGREGATORS, FUNCTIONS
from tidegauge.promql.tokens import POWER, PRECEDENCE, SIGN_PRECEDENCE, Token

_CALLABLE = tokens.QUERY_ENDS | tokens.DURATION_CALLS | {tokens.IDENTIFIER}
_GROUPINGS = frozenset(("by", "without"))
_STARTS = tokens.METRIC_NAMES | NUMBERS | SIGNS | {tokens.STRING, "(", "{"}


@dataclass(frozen=True, slots=True)
class _Pending:
    """An operator whose right side is still being read; a sign has no modifiers."""

    token: Token
    precedence: int
    modifiers: Modifiers | None


def parse_expression(cursor: Cursor) -> Expr:
    """Take the longest expression that begins here.

    Raises:
        Unexpected: a token fits nowhere.
        ParseError: something else is wrong.
    """
    operands: list[Expr] = []
    pending: list[_Pending] = []
    while True:
        while cursor.peek().kind in SIGNS:
            cursor.deepen()
            pending.append(_Pending(cursor.take(), SIGN_PRECEDENCE, None))
        operands.append(parse_suffixes(cursor, _parse_operand(cursor)))
        operator = cursor.peek()
        precedence = PRECEDENCE.get(operator.kind, 0)
        while pending and _binds_first(pending[-1], operator, precedence):
            _reduce(cursor, operands, pending.pop())
        if not precedence:
            return operands[0]
        cursor.take()
        cursor.deepen()
        pending.append(_Pending(operator, precedence, parse_modifiers(cursor)))


def _binds_first(before: _Pending, operator: Token, precedence: int) -> bool:
    if before.precedence == precedence:
        return operator.kind != POWER
    return before.precedence > precedence


def _reduce(cursor: Cursor, operands: list[Expr], operator: _Pending) -> None:
    cursor.rise()
    right = operands.pop()
    if operator.modifiers is None:
        operands.append(_make_unary(operator.token, right))
    else:
        operands.append(_make_binary(cursor, operands.pop(), operator, operator.modifiers, right))


def _make_unary(sign: Token, expr: Expr) -> Expr:
    if isinstance(expr, NumberLiteral):
        return apply_sign(sign, expr)
    return Unary(sign.kind, expr, Span(sign.start, expr.span.end))


def _make_binary(
    cursor: Cursor, left: Expr, operator: _Pending, modifiers: Modifiers, right: Expr
) -> Binary:
    span = Span(left.span.start, right.span.end)
    matching = modifiers.matching
    fills = matching.fill_left is not None or matching.fill_right is not None
    if fills and not cursor.options.fill_modifiers:
        raise cursor.error("binop fill modifiers are experimental and not enabled", span)
    place = Span(operator.token.start, operator.token.end)
    return Binary(operator.token.kind, left, right, matching, modifiers.return_bool, span, place)


def _parse_operand(cursor: Cursor) -> Expr:
    token = cursor.peek()
    if token.kind in NUMBERS:
        return parse_number_literal(cursor)
    if token.kind == tokens.STRING:
        cursor.take()
        return StringLiteral(unquote_token(cursor, token), Span(token.start, token.end))
    if token.kind == "(":
        return _parse_paren(cursor)
    if token.kind == "{":
        return parse_vector_selector(cursor, None)
    if token.kind not in tokens.METRIC_NAMES:
        raise Unexpected(token)
    cursor.take()
    following = cursor.peek().kind
    if token.kind in AGGREGATORS and (following == "(" or following in _GROUPINGS):
        return _parse_aggregate(cursor, token)
    if token.kind in _CALLABLE and following == "(":
        return _parse_call(cursor, token)
    return parse_vector_selector(cursor, token)


def _parse_paren(cursor: Cursor) -> Paren:
    opening = cursor.take()
    cursor.deepen()
    expr = parse_expression(cursor)
    cursor.rise()
    return Paren(expr, Span(opening.start, cursor.expect(")").end))


def _parse_arguments(cursor: Cursor) -> list[Expr]:
    cursor.expect("(")
    cursor.deepen()
    args: list[Expr] = []
    while cursor.peek().kind != ")":
        args.append(parse_expression(cursor))
        following = cursor.peek()
        if following.kind == ",":
            cursor.take()
            if cursor.peek().kind not in _STARTS:
                message = "trailing commas not allowed in function call args"
                raise cursor.error(message, following)
        elif following.kind != ")":
            raise Unexpected(following)
    cursor.take()
    cursor.rise()
    return args


def _parse_call(cursor: Cursor, name: Token) -> Call:
    args = _parse_arguments(cursor)
    signature = FUNCTIONS.get(name.text)
    if signature is None:
        raise cursor.error(f"unknown function with name {quote(name.text)}", name)
    if signature.experimental and not cursor.options.experimental_functions:
        raise cursor.error(f"function {quote(name.text)} is not enabled", name)
    return Call(name.text, tuple(args), Span(name.start, cursor.last_closing))


def _parse_aggregate(cursor: Cursor, operator: Token) -> Aggregate:
    grouping: tuple[str, ...] = ()
    clause = ""
    with cursor.explain("aggregation"):
        if cursor.peek().kind in _GROUPINGS:
            clause = cursor.take().kind
            grouping = parse_grouping(cursor)
            args = _parse_arguments(cursor)
            end = cursor.last_closing
        else:
            args = _parse_arguments(cursor)
            following = cursor.peek()
            if following.kind in _GROUPINGS:
                clause = cursor.take().kind
                grouping = parse_grouping(cursor)
                end = cursor.last_closing
            else:
                end = cursor.lexer.find_closing_before(following, cursor.last_closing)
    span = Span(operator.start, end)
    param, expr = _split_arguments(cursor, operator.kind, args, span)
    return Aggregate(operator.kind, expr, param, grouping, clause == "without", span)


def _split_arguments(
    cursor: Cursor, operator: str, args: list[Expr], span: Span
) -> tuple[Expr | None, Expr]:
    """Return the parameter, if the aggregator has one, and the vector."""
    if not args:
        raise cursor.error("no arguments for aggregate expression provided", span)
    signature = AGGREGATORS[operator]
    if signature.experimental and not cursor.options.experimental_functions:
        flag = "--enable-feature=promql-experimental-functions"
        message = f"{operator}() is experimental and must be enabled with {flag}"
        raise cursor.error(message, span)
    wanted = 1 if signature.param is None else 2
    if len(args) != wanted:
        raise cursor.error(
            "wrong number of arguments for aggregate expression provided, "
            f"expected {wanted}, got {len(args)}",
            span,
        )
    return (None, args[0]) if wanted == 1 else (args[0], args[1])
