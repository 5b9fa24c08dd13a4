"""Where a quoted string ends, and whether its escapes are well-formed.

Source: Prometheus `promql/parser/lex.go`, `lexString`, `lexRawString` and `lexEscape`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tidegauge.promql.parse_error import ParseError
from tidegauge.promql.runes import END, INVALID, decode_rune

_PLAIN = re.compile(rb"[^\\\n\"'`\x80-\xff]*")
_SIMPLE_ESCAPES = frozenset(b"abfnrtv\\")
_OCTAL = frozenset(b"01234567")
_HEX_WIDTHS = {ord("x"): 2, ord("u"): 4, ord("U"): 8}
_MAX_RUNE = 0x10FFFF

Fail = Callable[[str], ParseError]
"""Makes the error for what is wrong with the string."""


def find_string_end(data: bytes, start: int, fail: Fail) -> int:
    """Return the byte offset behind the closing quote.

    Args:
        data: the whole text.
        start: where the opening quote stands.
    Raises:
        ParseError: it is not closed, not UTF-8, or an escape is wrong.
    """
    mark = data[start]
    raw = mark == ord("`")
    position = start + 1
    while True:
        if not raw and (found := _PLAIN.match(data, position)) is not None:
            position = found.end()
        rune, width = decode_rune(data, position)
        position += width
        if rune == mark:
            return position
        if rune == INVALID:
            raise fail("invalid UTF-8 rune")
        if rune == END or (rune == ord("\n") and not raw):
            raise fail(f"unterminated {'raw' if raw else 'quoted'} string")
        if rune == ord("\\") and not raw:
            position = _skip_escape(data, position, mark, fail)


def _skip_escape(data: bytes, position: int, mark: int, fail: Fail) -> int:
    kind, width = decode_rune(data, position)
    if kind in _SIMPLE_ESCAPES or kind == mark:
        return position + 1
    if kind == END:
        raise fail("escape sequence not terminated")
    if kind in _OCTAL:
        return _skip_digits(data, position, 3, 8, fail)
    if kind in _HEX_WIDTHS:
        return _skip_digits(data, position + width, _HEX_WIDTHS[kind], 16, fail)
    raise fail(f"unknown escape sequence {_unicode(kind)}")


def _skip_digits(data: bytes, position: int, count: int, base: int, fail: Fail) -> int:
    value = 0
    for _ in range(count):
        rune, width = decode_rune(data, position)
        if rune == END:
            raise fail("escape sequence not terminated")
        digit = _digit(rune)
        if digit >= base:
            raise fail(f"illegal character {_unicode(rune)} in escape sequence")
        value = value * base + digit
        position += width
    greatest = 0xFF if base == 8 or count == 2 else _MAX_RUNE
    if value > greatest or 0xD800 <= value < 0xE000:
        raise fail("escape sequence is an invalid Unicode code point")
    return position


def _digit(rune: int) -> int:
    return int(chr(rune), 16) if rune < 0x80 and chr(rune) in "0123456789abcdefABCDEF" else 16


def _unicode(rune: int) -> str:
    """Write a character as Go's `%#U` does: `U+0063 'c'`."""
    shown = f" '{chr(rune)}'" if chr(rune).isprintable() else ""
    return f"U+{rune:04X}{shown}"
