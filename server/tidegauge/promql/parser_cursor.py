"""Where the parser stands in the tokens, how deep it is, and how it words its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tidegauge.promql import tokens
from tidegauge.promql.lexer import Lexer
from tidegauge.promql.nodes import Span
from tidegauge.promql.parse_error import NestingTooDeep, ParseError, Unexpected
from tidegauge.promql.tokens import Token

DEFAULT_MAX_DEPTH = 100
_CLOSING = frozenset(("}", ")", "]", tokens.DURATION, tokens.NUMBER))


@dataclass(frozen=True, slots=True)
class ParserOptions:
    """What the parser lets pass, off by default as in Prometheus.

    Args:
        experimental_functions: `promql-experimental-functions`.
        extended_range_selectors: `promql-extended-range-selectors`, anchored and smoothed.
        fill_modifiers: `promql-binop-fill-modifiers`.
        max_depth: how many operators, calls and parentheses may stand around an operand; the
            left-hand chain `a + b + c` counts once.
    """

    experimental_functions: bool = False
    extended_range_selectors: bool = False
    fill_modifiers: bool = False
    max_depth: int = DEFAULT_MAX_DEPTH


class Cursor:
    """Hands out tokens with one of look-ahead, which is read no sooner than it is needed.

    Args:
        text: the text; lone surrogates stand for bytes that are no UTF-8.
        options: what to let pass.
    """

    def __init__(self, text: str, options: ParserOptions) -> None:
        self.text, self.options = text, options
        self.lexer = Lexer(text)
        self.last_closing = 0
        """End of the last token read, look-ahead included, that can end an expression."""
        self._ahead: Token | None = None
        self._depth = 0

    def peek(self) -> Token:
        """Return the next token without taking it."""
        if self._ahead is None:
            self._ahead = self.lexer.next_token()
            if self._ahead.kind in _CLOSING:
                self.last_closing = self._ahead.end
        return self._ahead

    def take(self) -> Token:
        """Take the next token."""
        token = self.peek()
        self._ahead = None
        return token

    def expect(self, kind: str) -> Token:
        """Take the next token, which must be of this kind.

        Raises:
            Unexpected: it is another.
        """
        if self.peek().kind != kind:
            raise Unexpected(self.peek())
        return self.take()

    def deepen(self) -> None:
        """Go one level deeper.

        Raises:
            NestingTooDeep: that is over the limit.
        """
        self._depth += 1
        self.check_depth(0)

    def rise(self) -> None:
        """Come one level back."""
        self._depth -= 1

    def check_depth(self, further: int) -> None:
        """Raise NestingTooDeep if this many levels more than now are too many."""
        depth, limit = self._depth + further, self.options.max_depth
        if depth > limit:
            start = len(self.lexer.data) if self._ahead is None else self._ahead.start
            raise NestingTooDeep(depth=depth, limit=limit, start=start, text=self.text)

    def error(self, message: str, place: Span | Token) -> ParseError:
        """Return the error for a place."""
        return ParseError(message, start=place.start, end=place.end, text=self.text)

    def unexpected(self, token: Token, where: str = "", expected: str = "") -> ParseError:
        """Return the error for a token that does not fit.

        Args:
            where: the rule that it does not fit into, "" for none in particular.
            expected: what would have fitted.
        """
        message = f"unexpected {token.describe()}"
        if where:
            message += f" in {where}"
        if expected:
            message += f", expected {expected}"
        return self.error(message, token)

    @contextmanager
    def explain(self, where: str, expected: str = "") -> Iterator[None]:
        """Say of a token that does not fit in here, and that nothing inside explains, where."""
        try:
            yield
        except Unexpected as exc:
            raise self.unexpected(exc.token, where, expected) from None
