"""Text to syntax tree: the public face of the parser.

Source: promql.md §2; Prometheus `promql/parser`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tidegauge.model.labels import Labels
from tidegauge.model.matchers import Matcher
from tidegauge.promql import tokens
from tidegauge.promql.nodes import Expr
from tidegauge.promql.parse_error import NestingTooDeep, ParseError, Unexpected
from tidegauge.promql.parser_cursor import Cursor, ParserOptions
from tidegauge.promql.parser_expressions import parse_expression
from tidegauge.promql.parser_selectors import parse_lone_selector, parse_metric_labels
from tidegauge.promql.typecheck import check_types

__all__ = [
    "NestingTooDeep",
    "ParseError",
    "ParserOptions",
    "parse",
    "parse_metric",
    "parse_selector",
]

_DEFAULTS = ParserOptions()
_Parsed = TypeVar("_Parsed")


def parse(text: str, options: ParserOptions = _DEFAULTS) -> Expr:
    """Return the syntax tree of a query, its types checked.

    Args:
        text: the query; lone surrogates stand for bytes that are no UTF-8.
        options: what to let pass.
    Raises:
        ParseError: the first thing wrong, with its place, in Prometheus's words.
        NestingTooDeep: it nests deeper than `options.max_depth`.
    """
    return _parse_whole(text, options, _parse_query)


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """Return the matchers of a `match[]` parameter: an instant selector without modifiers.

    Raises:
        ParseError: it is not one, or all its matchers fit a series without labels.
    """
    return _parse_whole(text, _DEFAULTS, _parse_matchers)


def parse_metric(text: str) -> Labels:
    """Return the label set that a metric description such as `up{job="a"}` names.

    Raises:
        ParseError: it is not one.
    """
    return _parse_whole(text, _DEFAULTS, parse_metric_labels)


def _parse_whole(text: str, options: ParserOptions, rule: Callable[[Cursor], _Parsed]) -> _Parsed:
    cursor = Cursor(text, options)
    try:
        parsed = rule(cursor)
        cursor.expect(tokens.EOF)
        return parsed
    except Unexpected as exc:
        raise cursor.unexpected(exc.token) from None
    except RecursionError:
        end = len(cursor.lexer.data)
        raise ParseError(
            "expression nests too deeply for the stack", start=0, end=end, text=text
        ) from None


def _parse_query(cursor: Cursor) -> Expr:
    if cursor.peek().kind == tokens.EOF:
        raise ParseError("no expression found in input", start=0, end=0, text=cursor.text)
    expr = parse_expression(cursor)
    # The types are checked only once the syntax is known to be right.
    cursor.expect(tokens.EOF)
    return check_types(expr, cursor.text)


def _parse_matchers(cursor: Cursor) -> tuple[Matcher, ...]:
    selector = parse_lone_selector(cursor)
    cursor.expect(tokens.EOF)
    if all(matcher.matches("") for matcher in selector.matchers):
        raise cursor.error("match[] must contain at least one non-empty matcher", selector.span)
    return selector.matchers
