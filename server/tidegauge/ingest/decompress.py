"""Unpacks request bodies without ever holding more than the limit.

`snappy` means the block format everywhere, the one that remote write prescribes and that
declares its size up front; the framed format is refused with a word on what is wanted.
Source: SPEC §2; reliability.md F14; snappy `format_description.txt`; RFC 1952; RFC 8878.
"""

from __future__ import annotations

import zlib

import cramjam
import numpy as np

from tidegauge.errors import InvalidInput, PayloadTooLarge
from tidegauge.ingest.errors import UnsupportedMedia

SETTING = "TIDEGAUGE_INGEST_MAX_BODY_BYTES"
ENCODINGS = "identity, gzip, zstd, snappy"

# A copy element of three bytes makes 64, and no element makes more of a byte.
_SNAPPY_HIGHEST_RATIO = 22
_SNAPPY_FRAMED_MAGIC = b"\xff\x06\x00\x00sNaPpY"
_GZIP_WBITS = 31
_GZIP_MAX_MEMBERS = 16


def decompress(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """Return the body as it was before its Content-Encoding.

    Args:
        body: as received.
        encoding: the header's value; "" means identity.
        max_bytes: the most that may come out.
    Raises:
        PayloadTooLarge: it is longer, or says that it will be.
        UnsupportedMedia: the encoding is not known.
        InvalidInput: it is not in this encoding.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _within(body, max_bytes)
    if name in ("gzip", "x-gzip"):
        return _gunzip(body, max_bytes)
    if name == "zstd":
        return _unzstd(body, max_bytes)
    if name == "snappy":
        return _unsnap(body, max_bytes)
    raise UnsupportedMedia(f"Content-Encoding {encoding!r} is not understood; one of {ENCODINGS}")


def _within(body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise _too_large(f"is {len(body)} bytes long", max_bytes)
    return body


def _too_large(what: str, max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the body {what}, the limit is {max_bytes}; send smaller requests, or raise {SETTING}"
    )


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size, rest = 0, body
    try:
        # A gzip file may have several members, one after another; each costs a copy of the rest.
        while rest or not parts:
            if len(parts) == _GZIP_MAX_MEMBERS:
                raise InvalidInput(f"the gzip body has more than {_GZIP_MAX_MEMBERS} members")
            member = zlib.decompressobj(wbits=_GZIP_WBITS)
            part = member.decompress(rest, max_bytes - size + 1)
            size += len(part)
            if size > max_bytes:
                raise _too_large("unpacks to more than the limit", max_bytes)
            if not member.eof:
                raise InvalidInput("the gzip body ends before its end mark")
            parts.append(part)
            rest = member.unused_data
    except zlib.error as exc:
        raise InvalidInput(f"the body is not gzip: {exc}") from exc
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unzstd(body: bytes, max_bytes: int) -> bytes:
    declared = _zstd_declared_bytes(body)
    if declared is not None and declared > max_bytes:
        raise _too_large(f"declares {declared} bytes unpacked", max_bytes)
    # Pages of this array become memory only where something is written.
    room = np.empty(max_bytes, np.uint8)
    try:
        size = cramjam.zstd.decompress_into(body, room.data)
    except cramjam.DecompressionError as exc:
        if "whole buffer" in str(exc):
            raise _too_large("unpacks to more than the limit", max_bytes) from exc
        raise InvalidInput(f"the body is not zstd: {exc}") from exc
    return room[:size].tobytes()


def _zstd_declared_bytes(body: bytes) -> int | None:
    if body[:4] != b"\x28\xb5\x2f\xfd" or len(body) < 6:
        return None
    descriptor = body[4]
    single_segment = descriptor >> 5 & 1
    size_flag = descriptor >> 6
    if not size_flag and not single_segment:
        return None
    start = 5 + (not single_segment) + (0, 1, 2, 4)[descriptor & 3]
    width = (1, 2, 4, 8)[size_flag]
    declared = int.from_bytes(body[start : start + width], "little")
    return declared + 256 if width == 2 else declared


def _unsnap(body: bytes, max_bytes: int) -> bytes:
    if body.startswith(_SNAPPY_FRAMED_MAGIC):
        raise InvalidInput("the body is in snappy's framed format; the block format is wanted")
    try:
        declared = cramjam.snappy.decompress_raw_len(body)
        if declared > len(body) * _SNAPPY_HIGHEST_RATIO:
            raise InvalidInput(
                f"the snappy body declares {declared} bytes, more than {len(body)} can unpack to"
            )
        if declared > max_bytes:
            raise _too_large(f"declares {declared} bytes unpacked", max_bytes)
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as exc:
        raise InvalidInput(f"the body is not snappy: {exc}") from exc
