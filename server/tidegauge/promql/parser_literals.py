"""Numbers, durations and strings that stand alone."""

from __future__ import annotations

from tidegauge.promql import tokens
from tidegauge.promql.durations import ns_to_seconds, parse_duration, parse_number
from tidegauge.promql.nodes import NumberLiteral, Span
from tidegauge.promql.parse_error import Unexpected
from tidegauge.promql.parser_cursor import Cursor
from tidegauge.promql.quoting import unquote
from tidegauge.promql.tokens import Token

NUMBERS = frozenset((tokens.NUMBER, tokens.DURATION))
SIGNS = frozenset(("+", "-"))


def parse_number_literal(cursor: Cursor) -> NumberLiteral:
    """Take a number or a duration.

    Raises:
        Unexpected: it is neither.
        ParseError: it cannot be represented.
    """
    token = cursor.peek()
    if token.kind not in NUMBERS:
        raise Unexpected(token)
    cursor.take()
    span = Span(token.start, token.end)
    try:
        if token.kind == tokens.DURATION:
            return NumberLiteral(ns_to_seconds(parse_duration(token.text)), span, duration=True)
        return NumberLiteral(parse_number(token.text), span)
    except ValueError as exc:
        prefix = "" if token.kind == tokens.DURATION else "error parsing number: "
        raise cursor.error(f"{prefix}{exc}", token) from exc


def parse_signed_number(cursor: Cursor) -> NumberLiteral:
    """Take a number or a duration, with a sign or without."""
    if cursor.peek().kind not in SIGNS:
        return parse_number_literal(cursor)
    sign = cursor.take()
    return apply_sign(sign, parse_number_literal(cursor))


def apply_sign(sign: Token, number: NumberLiteral) -> NumberLiteral:
    """Return a number with the sign before it."""
    value = -number.value if sign.kind == "-" else number.value
    return NumberLiteral(value, Span(sign.start, number.span.end), number.duration)


def unquote_token(cursor: Cursor, token: Token) -> str:
    """Return what a string token says."""
    try:
        return unquote(token.text)
    except ValueError as exc:
        raise cursor.error(f"error unquoting string {token.text}: {exc}", token) from exc
