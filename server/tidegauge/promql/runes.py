"""One character of a UTF-8 text at a time, as Go reads it."""

from __future__ import annotations

END = -1
"""What stands behind the last character."""

INVALID = 0xFFFD
"""What a byte that is no UTF-8 reads as; the replacement character itself reads as it, too."""


def decode_rune(data: bytes, position: int) -> tuple[int, int]:
    """Return the character at a byte offset and its width in bytes.

    Returns:
        (END, 0) behind the end, (INVALID, 1) where the bytes are no UTF-8.
    """
    if position >= len(data):
        return END, 0
    first = data[position]
    if first < 0x80:
        return first, 1
    width = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    try:
        return ord(data[position : position + width].decode("utf-8")), width
    except (UnicodeDecodeError, TypeError):
        # TypeError: a stray byte cut so that what follows is a second character.
        return INVALID, 1
