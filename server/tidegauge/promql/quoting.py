"""Strings of PromQL: how they are written, and how Go shows them in messages.

Text that may hold bytes which are no UTF-8 carries them as lone surrogates (`surrogateescape`).
Source: Prometheus `util/strutil/quote.go`; Go `strconv.Quote` and `strconv.QuoteRune`.
"""

from __future__ import annotations

import re

_SHORT = {0x07: "\\a", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x0B: "\\v"}
_LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_ESCAPE = re.compile(
    r"\\(?:(?P<byte>x[0-9a-fA-F]{2}|[0-7]{3})"
    r"|(?P<rune>u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|(?P<short>[abfnrtv\\'\"]))"
)


def to_bytes(text: str) -> bytes:
    """Return the bytes that a text stands for; surrogates that stand for no byte stay invalid."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return b"".join(_encode(character) for character in text)


def _encode(character: str) -> bytes:
    escaped = "\udc80" <= character <= "\udcff"
    return character.encode("utf-8", "surrogateescape" if escaped else "surrogatepass")


def to_text(data: bytes) -> str:
    """Return bytes as text, what is no UTF-8 as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def is_valid_text(text: str) -> bool:
    """Return whether a text is UTF-8 through and through, as the name of a label must be."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def replace_invalid(text: str) -> str:
    """Return a text as Go's regular expressions and JSON see it: U+FFFD for what is no UTF-8."""
    return to_bytes(text).decode("utf-8", "replace")


def quote(text: str) -> str:
    """Return a text in double quotes, as Go's `%q` writes it."""
    return '"' + "".join(_escape(character, '"') for character in text) + '"'


def quote_rune(code: int) -> str:
    """Return one character in single quotes, as Go's `%q` writes it."""
    return f"'{_escape(chr(code), chr(39))}'"


def _escape(character: str, mark: str) -> str:
    code = ord(character)
    if character == mark or character == "\\":
        return "\\" + character
    if character.isprintable():
        return character
    if code in _SHORT:
        return _SHORT[code]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unquote(literal: str) -> str:
    """Return what a quoted string says.

    Args:
        literal: with its quotes: double, single, or backquotes (in which nothing is escaped).
    Raises:
        ValueError: it is not a well-formed literal.
    Source: Prometheus `util/strutil/quote.go`.
    """
    mark, inner = literal[:1], literal[1:-1]
    if len(literal) < 2 or literal[-1] != mark or mark not in ("'", '"', "`"):
        raise ValueError("invalid syntax")
    if mark == "`":
        if mark in inner:
            raise ValueError("invalid syntax")
        return inner
    if "\n" in inner:
        raise ValueError("invalid syntax")
    if "\\" not in inner and mark not in inner:
        return inner
    return _unescape(inner, mark)


def _unescape(inner: str, mark: str) -> str:
    # Bytes, because \xE2\x98\xBA spells one character.
    parts: list[bytes] = []
    position = 0
    while position < len(inner):
        following = inner.find("\\", position)
        plain = inner[position:] if following < 0 else inner[position:following]
        if mark in plain:
            raise ValueError("invalid syntax")
        parts.append(to_bytes(plain))
        if following < 0:
            break
        found = _ESCAPE.match(inner, following)
        if found is None:
            raise ValueError("invalid syntax")
        parts.append(_unescape_one(found, mark))
        position = found.end()
    return to_text(b"".join(parts))


def _unescape_one(found: re.Match[str], mark: str) -> bytes:
    if found["byte"]:
        code = int(found["byte"][1:], 16) if found["byte"][0] == "x" else int(found["byte"], 8)
        if code > 0xFF:
            raise ValueError("invalid syntax")
        return bytes([code])
    if found["rune"]:
        code = int(found["rune"][1:], 16)
        if code > 0x10FFFF:
            raise ValueError("invalid syntax")
        # Go writes a surrogate as the replacement character.
        return (chr(code) if not 0xD800 <= code <= 0xDFFF else "\ufffd").encode()
    short = found["short"]
    if short in "'\"" and short != mark:
        raise ValueError("invalid syntax")
    return bytes([_LETTERS[short]]) if short in _LETTERS else short.encode()
