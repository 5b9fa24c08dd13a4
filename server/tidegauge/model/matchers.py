"""One label matcher, as a selector has them: `=`, `!=`, `=~`, `!~`.

Regular expressions are RE2, anchored as `^(?s:…)$`; literals, alternations of literals and
`prefix.*` forms never reach it, and values that repeat are asked once.
Source: promql.md §1 and §6 (REGEX).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Any

import re2

from tidegauge.errors import InvalidInput

# Distinct values that a matcher remembers. Few, since parsed queries live on with their matchers;
# a value that comes more often than that is among the first.
MEMO_VALUES = 500
# A pattern of a megabyte must not come back twice in an error.
_SHOWN_CHARS = 500
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


class MatchType(enum.Enum):
    """The operator of a matcher, by its PromQL spelling."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


class Matcher:
    """Decide whether a label's value fits; a missing label has the value "".

    Args:
        type: the operator.
        name: the label's name.
        value: the value, or the regular expression.
    Raises:
        InvalidInput: the regular expression is not RE2.
    """

    __slots__ = ("_match", "_memo", "name", "type", "value")

    def __init__(self, type: MatchType, name: str, value: str) -> None:
        self.type, self.name, self.value = type, name, value
        self._memo: dict[str, bool] = {}
        self._match = compile_regex(value) if self.is_regex else None

    @property
    def is_regex(self) -> bool:
        """Whether the value is a regular expression."""
        return self.type in (MatchType.REGEX, MatchType.NOT_REGEX)

    def matches(self, value: str) -> bool:
        """Return whether this value passes."""
        if self._match is None:
            return (value == self.value) is (self.type is MatchType.EQUAL)
        known = self._memo.get(value)
        if known is None:
            known = self._match(value) is (self.type is MatchType.REGEX)
            if len(self._memo) < MEMO_VALUES:
                self._memo[value] = known
        return known

    def alternatives(self) -> tuple[str, ...] | None:
        """Return the finite set of values that can pass (`=`, `=~"a|b"`), or None if unbounded."""
        if self.type is MatchType.EQUAL:
            return (self.value,)
        if self.type is MatchType.REGEX:
            return literal_alternatives(self.value)
        return None

    def _key(self) -> tuple[MatchType, str, str]:
        return (self.type, self.name, self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Matcher) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Matcher({self.name}{self.type.value}{self.value!r})"


def literal_alternatives(pattern: str) -> tuple[str, ...] | None:
    """Return the literals of a pattern like `a|b` or `(a|b)`, or None if it is anything more."""
    if pattern.startswith("(") and pattern.endswith(")"):
        pattern = pattern[1:-1]
    parts = pattern.split("|")
    return None if any(_META.search(part) for part in parts) else tuple(parts)


def compile_regex(pattern: str) -> Callable[[str], bool]:
    """Return a function that says whether a whole string matches an RE2 pattern.

    Raises:
        InvalidInput: not RE2, or `\\C`, which Go does not know.
    """
    compiled = compile_re2(pattern)
    literals = literal_alternatives(pattern)
    if literals is not None:
        return frozenset(literals).__contains__
    if pattern == ".*":
        return lambda value: True
    if pattern == ".+":
        return lambda value: value != ""
    head, tail = pattern.startswith(".*"), pattern.endswith(".*")
    inner = pattern[2 if head else 0 : -2 if tail else None]
    if (head or tail) and inner and not _META.search(inner):
        if head and tail:
            return lambda value: inner in value
        return (
            (lambda value: value.endswith(inner))
            if head
            else (lambda value: value.startswith(inner))
        )
    return lambda value: compiled.fullmatch(value) is not None


def compile_re2(pattern: str) -> Any:
    """Compile with RE2, `.` matching newlines as Prometheus has it.

    Raises:
        InvalidInput: with RE2's reason.
    """
    try:
        pattern.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(f"invalid regular expression {_clip(pattern)!a}: invalid UTF-8") from exc
    if re.search(r"(?<!\\)(?:\\\\)*\\C", pattern):
        raise InvalidInput(f'invalid regular expression "{_clip(pattern)}": \\C is not supported')
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?s:{pattern})", options)
    except re2.error as exc:
        reason = exc.args[0].decode() if isinstance(exc.args[0], bytes) else exc.args[0]
        said = f'invalid regular expression "{_clip(pattern)}": {_clip(reason)}'
        raise InvalidInput(said) from exc


def _clip(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
