"""Text to syntax tree, with a bounded memo, a depth limit, and errors that say where."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from tidegauge.errors import InvalidInput, LimitExceeded
from tidegauge.model.matchers import Matcher
from tidegauge.promql import nodes
from tidegauge.promql.parser import (
    NestingTooDeep,
    ParseError,
    ParserOptions,
    parse,
    parse_selector,
)
from tidegauge.promql.printer import print_expr

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
        memo_trees: how many trees are remembered.
    """

    def __init__(self, *, max_depth: int, memo_trees: int = MEMO_TREES) -> None:
        self._options = ParserOptions(max_depth=max_depth)
        self._remembered = functools.lru_cache(maxsize=memo_trees)(self._parse)
        self._remembered_form = functools.lru_cache(maxsize=memo_trees)(self._print)

    def parse(self, text: str) -> nodes.Expr:
        """Return the tree of a query.

        Raises:
            QuerySyntaxError: with the position.
            InvalidInput: the text is too long.
            LimitExceeded: it nests too deep.
        """
        check_length(text)
        return self._remembered(text) if len(text) <= MEMO_TEXT_CHARS else self._parse(text)

    def normalise(self, text: str) -> str:
        """Return the query's normal form, which other spellings of it share: its tree, printed.

        Raises:
            As `parse`.
        """
        check_length(text)
        return self._remembered_form(text) if len(text) <= MEMO_TEXT_CHARS else self._print(text)

    def parse_selectors(
        self, texts: Sequence[str], *, check: Callable[[], None] = lambda: None
    ) -> list[tuple[Matcher, ...]]:
        """Return the matchers of each `match[]`.

        Args:
            check: called before each; raises when the deadline is over.
        Raises:
            QuerySyntaxError, InvalidInput: one does not parse, or all its matchers fit "".
        """
        found = []
        for text in texts:
            check()
            found.append(self._parse_selector(text))
        return found

    def _parse(self, text: str) -> nodes.Expr:
        try:
            return parse(text, self._options)
        except NestingTooDeep as exc:
            raise LimitExceeded(
                "levels of nesting",
                reached=exc.depth,
                allowed=exc.limit,
                setting="TIDEGAUGE_QUERY_MAX_DEPTH",
            ) from exc
        except ParseError as exc:
            raise QuerySyntaxError(exc, text) from exc

    def _print(self, text: str) -> str:
        return print_expr(self.parse(text))

    def _parse_selector(self, text: str) -> tuple[Matcher, ...]:
        check_length(text)
        try:
            return parse_selector(text)
        except ParseError as exc:
            raise QuerySyntaxError(exc, text) from exc


def check_length(text: str) -> None:
    """Refuse a query that is far too long to be one.

    Raises:
        InvalidInput: naming the limit.
    """
    # Characters are at least a byte each, which spares encoding a text that is far too long.
    if len(text) > MAX_TEXT_BYTES or len(text.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise InvalidInput(f"the query is longer than {MAX_TEXT_BYTES} bytes")
