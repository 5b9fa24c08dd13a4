"""What stands between a binary operator and its right side, and lists of labels.

`bool`, `on (…)` or `ignoring (…)`, `group_left (…)` or `group_right (…)`, `fill (…)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tidegauge.promql import tokens
from tidegauge.promql.nodes import Card, VectorMatching
from tidegauge.promql.parser_cursor import Cursor
from tidegauge.promql.parser_literals import parse_signed_number, unquote_token
from tidegauge.promql.quoting import is_valid_text, quote
from tidegauge.promql.tokens import FILLS, GROUPING_NAMES

_GROUPS = {"group_left": Card.MANY_TO_ONE, "group_right": Card.ONE_TO_MANY}
_OTHER_SIDE = {"fill_left": "fill_right", "fill_right": "fill_left"}
_WHERE = "grouping opts"


@dataclass(frozen=True, slots=True)
class Modifiers:
    """What was written behind a binary operator."""

    return_bool: bool
    matching: VectorMatching


def parse_modifiers(cursor: Cursor) -> Modifiers:
    """Take the modifiers of a binary operator, of which each is optional."""
    return_bool = cursor.peek().kind == "bool"
    if return_bool:
        cursor.take()
    matching = VectorMatching(Card.ONE_TO_ONE)
    kind = cursor.peek().kind
    if kind in ("on", "ignoring"):
        cursor.take()
        matching = replace(matching, labels=parse_grouping(cursor), on=kind == "on")
        matching = _parse_group(cursor, matching)
    if cursor.peek().kind in FILLS:
        matching = _parse_fills(cursor, matching)
    return Modifiers(return_bool, matching)


def parse_grouping(cursor: Cursor) -> tuple[str, ...]:
    """Take a list of labels in parentheses, as behind `by` and `on`."""
    with cursor.explain(_WHERE, '"("'):
        cursor.expect("(")
    labels: list[str] = []
    while cursor.peek().kind != ")":
        labels.append(_parse_label(cursor))
        following = cursor.peek()
        if following.kind == ",":
            cursor.take()
        elif following.kind != ")":
            raise cursor.unexpected(following, _WHERE, '"," or ")"')
    cursor.take()
    return tuple(labels)


def _parse_label(cursor: Cursor) -> str:
    token = cursor.peek()
    if token.kind in GROUPING_NAMES:
        return cursor.take().text
    if token.kind != tokens.STRING:
        raise cursor.unexpected(token, _WHERE, "label")
    name = unquote_token(cursor, cursor.take())
    if not name or not is_valid_text(name):
        raise cursor.error(f"invalid label name for grouping: {quote(name)}", token)
    return name


def _parse_group(cursor: Cursor, matching: VectorMatching) -> VectorMatching:
    card = _GROUPS.get(cursor.peek().kind)
    if card is None:
        return matching
    cursor.take()
    # A parenthesis always belongs to the list, even where the right side was meant.
    include = parse_grouping(cursor) if cursor.peek().kind == "(" else ()
    return replace(matching, card=card, include=include)


def _parse_fills(cursor: Cursor, matching: VectorMatching) -> VectorMatching:
    kind = cursor.take().kind
    value = _parse_fill_value(cursor)
    if kind == "fill":
        return replace(matching, fill_left=value, fill_right=value)
    fills = {kind: value}
    if cursor.peek().kind == _OTHER_SIDE[kind]:
        other = cursor.take().kind
        fills[other] = _parse_fill_value(cursor)
    return replace(matching, fill_left=fills.get("fill_left"), fill_right=fills.get("fill_right"))


def _parse_fill_value(cursor: Cursor) -> float:
    cursor.expect("(")
    value = parse_signed_number(cursor).value
    cursor.expect(")")
    return value
