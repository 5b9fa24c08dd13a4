"""Text to syntax tree, with a bounded memo, a depth limit, and errors that say where."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from tidegauge.errors import InvalidInput, LimitExceeded
from tidegauge.model.matchers import Matcher
from tidegauge.promql import nodes
from tidegauge.promql.parser import ParseError, ParserOptions, parse, parse_selector

MAX_TEXT_BYTES = 256 * 1024
"""Longest query text: Grafana's multi-value variables make long ones, but not this long."""

MEMO_TREES = 256
MEMO_TEXT_CHARS = 4096


class QuerySyntaxError(InvalidInput):
    """The query does not parse, or its types do not fit.

    Args:
        fault: what the parser said.
        text: the query.
    Attributes:
        reason: what is wrong, without the place; the message has both, as Prometheus prints it.
        start, end: byte offsets into the text's UTF-8 form, end exclusive.
        line, column: the place of `start`, from 1.
    """

    code = "parse"

    def __init__(self, fault: ParseError, text: str) -> None:
        super().__init__(str(fault))
        self.reason, self.start, self.end = fault.message, fault.start, fault.end
        before = text.encode("utf-8", "replace")[: fault.start]
        self.line = before.count(b"\n") + 1
        # In bytes, from 1, as Prometheus counts.
        self.column = len(before) - before.rfind(b"\n")


class QueryParser:
    """Parses queries; the trees of recent short texts are remembered.

    Args:
        max_depth: how deep an expression may nest; a chain `a + b + c` counts as one level.
    """

    def __init__(self, *, max_depth: int) -> None:
        self._max_depth = max_depth
        self._options = ParserOptions()
        self._remembered = functools.lru_cache(maxsize=MEMO_TREES)(self._parse)

    def parse(self, text: str) -> nodes.Expr:
        """Return the tree of a query.

        Raises:
            QuerySyntaxError: with the position.
            InvalidInput: the text is too long.
            LimitExceeded: it nests too deep.
        """
        _check_length(text)
        return self._remembered(text) if len(text) <= MEMO_TEXT_CHARS else self._parse(text)

    def parse_selectors(self, texts: Sequence[str]) -> list[tuple[Matcher, ...]]:
        """Return the matchers of each `match[]`.

        Raises:
            QuerySyntaxError, InvalidInput: one does not parse, or all its matchers fit "".
        """
        return [self._parse_selector(text) for text in texts]

    def _parse(self, text: str) -> nodes.Expr:
        try:
            tree = parse(text, self._options)
        except ParseError as exc:
            raise QuerySyntaxError(exc, text) from exc
        depth = measure_depth(tree)
        if depth > self._max_depth:
            raise LimitExceeded(
                "levels of nesting",
                reached=depth,
                allowed=self._max_depth,
                setting="TIDEGAUGE_QUERY_MAX_DEPTH",
            )
        return tree

    def _parse_selector(self, text: str) -> tuple[Matcher, ...]:
        _check_length(text)
        try:
            matchers = tuple(parse_selector(text))
        except ParseError as exc:
            raise QuerySyntaxError(exc, text) from exc
        if all(matcher.matches("") for matcher in matchers):
            raise InvalidInput("match[] must contain at least one non-empty matcher")
        return matchers


def measure_depth(tree: nodes.Expr) -> int:
    """Return how deep a tree nests; the left-hand chain of a binary operator is one level."""
    deepest = 0
    waiting: list[tuple[nodes.Expr, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        match node:
            case nodes.Binary(left=left, right=right):
                waiting += [(left, depth), (right, depth + 1)]
            case nodes.Call(args=args):
                waiting += [(arg, depth + 1) for arg in args]
            case nodes.Aggregate(expr=inner, param=param):
                waiting += [(part, depth + 1) for part in (inner, param) if part is not None]
            case nodes.Subquery(expr=inner) | nodes.Unary(expr=inner) | nodes.Paren(expr=inner):
                waiting.append((inner, depth + 1))
    return deepest


def _check_length(text: str) -> None:
    # Characters are at least a byte each, which spares encoding a text that is far too long.
    if len(text) > MAX_TEXT_BYTES or len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise InvalidInput(f"the query is longer than {MAX_TEXT_BYTES} bytes")
