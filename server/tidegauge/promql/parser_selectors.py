"""Selectors `name{label="value"}`, and descriptions of one metric, which look alike."""

from __future__ import annotations

from tidegauge.errors import InvalidInput
from tidegauge.model.labels import METRIC_NAME, Labels, make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.promql import tokens
from tidegauge.promql.nodes import Span, VectorSelector
from tidegauge.promql.parse_error import Unexpected
from tidegauge.promql.parser_cursor import Cursor
from tidegauge.promql.parser_literals import unquote_token
from tidegauge.promql.tokens import MATCH_OPERATORS, METRIC_NAMES, Token


def parse_vector_selector(cursor: Cursor, name: Token | None) -> VectorSelector:
    """Take a selector.

    Args:
        name: the metric name, already taken; None where the braces come first.
    """
    first = name if name is not None else cursor.peek()
    end = first.end
    matchers: list[Matcher] = []
    if cursor.peek().kind == "{":
        end = _parse_matchers(cursor, matchers)
    if name is not None:
        matchers.append(Matcher(MatchType.EQUAL, METRIC_NAME, name.text))
    written = "" if name is None else name.text
    return VectorSelector(written, tuple(matchers), Span(first.start, end))


def parse_lone_selector(cursor: Cursor) -> VectorSelector:
    """Take a selector that is all there is.

    Raises:
        Unexpected: something else begins here.
    """
    token = cursor.peek()
    if token.kind == "{":
        return parse_vector_selector(cursor, None)
    if token.kind not in METRIC_NAMES:
        raise Unexpected(token)
    return parse_vector_selector(cursor, cursor.take())


def parse_metric_labels(cursor: Cursor) -> Labels:
    """Take the description of one metric: a name, labels with `=`, or both."""
    name = cursor.take() if cursor.peek().kind in METRIC_NAMES else None
    pairs: dict[str, str] = {}
    if cursor.peek().kind == "{":
        cursor.take()
        while cursor.peek().kind != "}":
            label, value = _parse_label(cursor)
            pairs[label] = value
            _end_item(cursor, "label set")
        cursor.take()
    if name is not None:
        pairs[METRIC_NAME] = name.text
    return make_labels(pairs)


def _parse_matchers(cursor: Cursor, matchers: list[Matcher]) -> int:
    cursor.take()
    while cursor.peek().kind != "}":
        matchers.append(_parse_matcher(cursor))
        _end_item(cursor, "label matching")
    return cursor.take().end


def _end_item(cursor: Cursor, where: str) -> None:
    following = cursor.peek()
    if following.kind == ",":
        cursor.take()
    elif following.kind != "}":
        raise cursor.unexpected(following, where, '"," or "}"')


def _parse_matcher(cursor: Cursor) -> Matcher:
    label, name = _parse_name(cursor, "label matching")
    operator = cursor.peek()
    if operator.kind not in MATCH_OPERATORS:
        if label.kind == tokens.STRING:
            return Matcher(MatchType.EQUAL, METRIC_NAME, name)
        raise cursor.unexpected(operator, "label matching", "label matching operator")
    cursor.take()
    with cursor.explain("label matching", "string"):
        value = cursor.expect(tokens.STRING)
    try:
        return Matcher(MatchType(operator.kind), name, unquote_token(cursor, value))
    except InvalidInput as exc:
        raise cursor.error(exc.message, Span(label.start, value.end)) from exc


def _parse_label(cursor: Cursor) -> tuple[str, str]:
    label, name = _parse_name(cursor, "label set")
    if cursor.peek().kind != "=":
        if label.kind == tokens.STRING:
            return METRIC_NAME, name
        raise cursor.unexpected(cursor.peek(), "label set", '"="')
    cursor.take()
    with cursor.explain("label set", "string"):
        value = cursor.expect(tokens.STRING)
    return name, unquote_token(cursor, value)


def _parse_name(cursor: Cursor, where: str) -> tuple[Token, str]:
    token = cursor.peek()
    if token.kind == tokens.IDENTIFIER:
        return cursor.take(), token.text
    if token.kind == tokens.STRING:
        return cursor.take(), unquote_token(cursor, token)
    raise cursor.unexpected(token, where, 'identifier or "}"')
