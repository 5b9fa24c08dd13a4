"""What may stand behind an expression: `[…]`, `offset`, `@`, `anchored` and `smoothed`.

They always bind tightest. Source: Prometheus `promql/parser/parse.go`.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tidegauge.promql.durations import seconds_to_ns
from tidegauge.promql.nodes import (
    Anchor,
    Duration,
    DurationExpr,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Span,
    Subquery,
    TimeShift,
    VectorSelector,
)
from tidegauge.promql.parser_cursor import Cursor
from tidegauge.promql.parser_durations import parse_offset, parse_positive_duration
from tidegauge.promql.parser_literals import parse_signed_number
from tidegauge.promql.tokens import QUERY_ENDS, Token

_DURATIONS = "number, duration, step(), or range()"
_INT64_BOUND = 2.0**63
_SHIFTABLE = "must be preceded by an instant vector selector or range vector selector or a subquery"


def parse_suffixes(cursor: Cursor, expr: Expr) -> Expr:
    """Take all that belongs to this expression."""
    brackets = 0
    while True:
        match cursor.peek().kind:
            case "[":
                brackets += 1
                cursor.check_depth(brackets)
                expr = _parse_brackets(cursor, expr)
            case "offset":
                expr = _parse_offset(cursor, expr)
            case "@":
                expr = _parse_at(cursor, expr)
            case "anchored" | "smoothed":
                expr = _extend(cursor, expr, cursor.take().kind)
            case _:
                return expr


def _parse_brackets(cursor: Cursor, expr: Expr) -> Expr:
    opening = cursor.take()
    with cursor.explain("subquery or range selector", _DURATIONS):
        duration = parse_positive_duration(cursor)
    following = cursor.peek()
    if following.kind == "]":
        return _make_matrix(cursor, expr, duration, Span(opening.start, cursor.take().end))
    if following.kind == ":":
        cursor.take()
        return _parse_subquery(cursor, expr, duration)
    raise cursor.unexpected(following, "subquery or range", '":" or "]"')


def _make_matrix(cursor: Cursor, expr: Expr, duration: Duration, brackets: Span) -> MatrixSelector:
    if not isinstance(expr, VectorSelector):
        raise cursor.error("ranges only allowed for vector selectors", brackets)
    if _has_offset(expr.shift):
        raise cursor.error("no offset modifiers allowed before range", brackets)
    if _has_at(expr.shift):
        raise cursor.error("no @ modifiers allowed before range", brackets)
    range_ns, range_expr = _split(duration)
    return MatrixSelector(expr, range_ns, range_expr, Span(expr.span.start, brackets.end))


def _parse_subquery(cursor: Cursor, expr: Expr, duration: Duration) -> Subquery:
    step_ns, step_expr = 0, None
    if cursor.peek().kind != "]":
        with cursor.explain("subquery selector", 'number, duration, step(), range(), or "]"'):
            step_ns, step_expr = _split(parse_positive_duration(cursor))
    with cursor.explain("subquery selector", '"]"'):
        closing = cursor.expect("]")
    range_ns, range_expr = _split(duration)
    span = Span(expr.span.start, closing.end)
    return Subquery(expr, range_ns, range_expr, step_ns, step_expr, span)


def _split(duration: Duration) -> tuple[int, DurationExpr | None]:
    if isinstance(duration, NumberLiteral):
        return seconds_to_ns(duration.value), None
    return 0, duration


def _parse_offset(cursor: Cursor, expr: Expr) -> Expr:
    cursor.take()
    with cursor.explain("offset", _DURATIONS):
        offset_ns, offset_expr = _split(parse_offset(cursor))
    shift = _find_shift(expr)
    if shift is None:
        raise cursor.error(f"offset modifier {_SHIFTABLE}", expr.span)
    if _has_offset(shift):
        raise cursor.error("offset may not be set multiple times", expr.span)
    shift = replace(shift, offset_ns=offset_ns, offset_expr=offset_expr)
    return _with_shift(expr, shift, cursor.last_closing)


def _parse_at(cursor: Cursor, expr: Expr) -> Expr:
    cursor.take()
    at_ms, anchor = None, None
    with cursor.explain("@", "timestamp"):
        if cursor.peek().kind in QUERY_ENDS:
            anchor = _parse_anchor(cursor)
        else:
            at_s = parse_signed_number(cursor).value
            # The second bound keeps what int64 milliseconds cannot hold out as well.
            if not abs(at_s) < _INT64_BOUND or not abs(at_s * 1000) < _INT64_BOUND:
                message = f"timestamp out of bounds for @ modifier: {_fixed(at_s)}"
                raise cursor.error(message, expr.span)
            at_ms = _round_half_away(at_s * 1000)
    shift = _find_shift(expr)
    if shift is None:
        raise cursor.error(f"@ modifier {_SHIFTABLE}", expr.span)
    if _has_at(shift):
        raise cursor.error("@ <timestamp> may not be set multiple times", expr.span)
    shift = replace(shift, at_ms=at_ms, at_anchor=anchor)
    return _with_shift(expr, shift, cursor.last_closing)


def _parse_anchor(cursor: Cursor) -> Anchor:
    token: Token = cursor.take()
    cursor.expect("(")
    cursor.expect(")")
    return Anchor(token.kind)


def _fixed(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else f"{value:.6f}"


def _round_half_away(value: float) -> int:
    fraction, whole = math.modf(value)
    return int(whole) + (int(math.copysign(1, value)) if abs(fraction) >= 0.5 else 0)


def _has_offset(shift: TimeShift) -> bool:
    return shift.offset_ns != 0 or shift.offset_expr is not None


def _has_at(shift: TimeShift) -> bool:
    return shift.at_ms is not None or shift.at_anchor is not None


def _find_shift(expr: Expr) -> TimeShift | None:
    if isinstance(expr, MatrixSelector):
        return expr.selector.shift
    return expr.shift if isinstance(expr, VectorSelector | Subquery) else None


def _with_shift(expr: Expr, shift: TimeShift, end: int) -> Expr:
    span = Span(expr.span.start, end)
    if isinstance(expr, MatrixSelector):
        return replace(expr, selector=replace(expr.selector, shift=shift), span=span)
    assert isinstance(expr, VectorSelector | Subquery)
    return replace(expr, shift=shift, span=span)


def _extend(cursor: Cursor, expr: Expr, extension: str) -> Expr:
    if not cursor.options.extended_range_selectors:
        raise cursor.error(f"{extension} modifier is experimental and not enabled", expr.span)
    if isinstance(expr, Subquery):
        raise cursor.error(f"{extension} modifier is not supported for subqueries", expr.span)
    if not isinstance(expr, VectorSelector | MatrixSelector):
        raise cursor.error(f"{extension} modifier not implemented", expr.span)
    selector = expr.selector if isinstance(expr, MatrixSelector) else expr
    if selector.extension not in ("", extension):
        message = "anchored and smoothed modifiers cannot be used together"
        raise cursor.error(message, expr.span)
    extended = replace(selector, extension=extension)
    return replace(expr, selector=extended) if isinstance(expr, MatrixSelector) else extended
