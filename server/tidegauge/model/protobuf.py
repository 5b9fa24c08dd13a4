"""The two pieces of protobuf's wire format that messages written by hand need."""

from __future__ import annotations


def encode_field(number: int, *payload: bytes | memoryview) -> bytes:
    """Return a length-delimited field.

    Args:
        number: below 16, so that its tag is one byte.
        payload: what is in it, in pieces.
    """
    return b"".join((bytes([number << 3 | 2]), encode_varint(sum(map(len, payload))), *payload))


def encode_varint(value: int) -> bytes:
    """Return a whole number that is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
