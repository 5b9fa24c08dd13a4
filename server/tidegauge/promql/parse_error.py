"""What the parser raises, with its place in the text."""

from __future__ import annotations

from tidegauge.errors import InvalidInput
from tidegauge.promql.quoting import to_bytes
from tidegauge.promql.tokens import Token


class ParseError(InvalidInput):
    """A text is not PromQL, or its types do not fit; `str()` is what Prometheus prints.

    Args:
        message: what is wrong, in Prometheus's words, without the place.
        start: byte offset into the UTF-8 text.
        end: byte offset, exclusive.
        text: the whole text.
    """

    code = "parse"

    def __init__(self, message: str, *, start: int, end: int, text: str) -> None:
        super().__init__(message)
        self.start, self.end, self.text = start, end, text

    def __str__(self) -> str:
        return f"{self._place()}: parse error: {self.message}"

    def _place(self) -> str:
        data = to_bytes(self.text)
        if not data:
            return "unknown position"
        before = data[: self.start]
        # The column is counted in bytes, from 1.
        column = len(before) - before.rfind(b"\n")
        line = before.count(b"\n") + 1
        return f"{line}:{column}"


class NestingTooDeep(ParseError):
    """An expression nests deeper than the limit.

    Args:
        depth: the depth at which parsing stopped.
        limit: the depth allowed.
    """

    def __init__(self, *, depth: int, limit: int, start: int, text: str) -> None:
        message = f"expression nests {depth} levels deep, the limit is {limit}"
        super().__init__(message, start=start, end=start, text=text)
        self.depth, self.limit = depth, limit


class Unexpected(Exception):
    """A token that fits nowhere; the innermost rule that expects an error words it.

    Args:
        token: the one that does not fit.
    """

    def __init__(self, token: Token) -> None:
        super().__init__(token.text)
        self.token = token
