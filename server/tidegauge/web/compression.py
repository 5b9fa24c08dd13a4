"""Compression of answers: who may have them compressed, from which size on, and how."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cramjam
from flask import Response, request

MIN_COMPRESSED_BYTES = 2048

# A gzip file without a name and a time, compressed fast. Source: RFC 1952, 2.3.
_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"
_CHECKS = struct.Struct("<II")

_COMPRESSIBLE = frozenset({"application/json", "text/plain"})


def compressible_response(body: bytes, *, keep: Callable[[Callable[[], bytes]], bytes]) -> Response:
    """Return a JSON response whose compressed form is kept for whoever asks next.

    Args:
        body: as it is.
        keep: returns the kept compressed bytes, or calls what it is given to make them.
    """
    response = Response(body, mimetype="application/json")
    if len(body) >= MIN_COMPRESSED_BYTES and _accepts_gzip():
        response.set_data(keep(lambda: _gzip(body)))
        response.content_encoding = "gzip"
    return response


def two_part_response(
    body: bytes, end: bytes, *, keep: Callable[[Callable[[], bytes]], bytes]
) -> Response:
    """Return a JSON response of which all but the end is kept compressed for whoever asks next.

    Args:
        body: all but the end.
        end: what differs from one answer to the next.
        keep: returns the kept compressed bytes, or calls what it is given to make them.
    """
    if len(body) < MIN_COMPRESSED_BYTES or not _accepts_gzip():
        return Response(body + end, mimetype="application/json")
    response = Response(
        finish_gzip(keep(lambda: begin_gzip(body)), end), mimetype="application/json"
    )
    response.content_encoding = "gzip"
    return response


def begin_gzip(body: bytes) -> bytes:
    """Return bytes that `finish_gzip` makes a whole gzip file of, with any end."""
    packer = _make_packer()
    # The flush ends at a full byte, and what comes after it does not refer to what came before.
    packed = packer.compress(body) + packer.flush(zlib.Z_FULL_FLUSH)
    return _CHECKS.pack(zlib.crc32(body), len(body) & 0xFFFFFFFF) + packed


def finish_gzip(begun: bytes, end: bytes) -> bytes:
    """Return the gzip file of what was begun, with this end."""
    checksum, length = _CHECKS.unpack_from(begun)
    packer = _make_packer()
    packed_end = packer.compress(end) + packer.flush()
    checks = _CHECKS.pack(zlib.crc32(end, checksum), (length + len(end)) & 0xFFFFFFFF)
    return b"".join((_GZIP_HEAD, memoryview(begun)[_CHECKS.size :], packed_end, checks))


def compress(response: Response) -> None:
    """Compress an answer that is long enough, where the client takes that."""
    length = response.content_length or 0
    if response.content_encoding is None and length < MIN_COMPRESSED_BYTES:
        return
    if response.mimetype not in _COMPRESSIBLE:
        return
    response.vary.add("Accept-Encoding")
    if response.content_encoding is None and _accepts_gzip():
        response.set_data(_gzip(response.get_data()))
        response.content_encoding = "gzip"


def _make_packer() -> zlib._Compress:
    return zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)


def _accepts_gzip() -> bool:
    return request.accept_encodings["gzip"] > 0


def _gzip(body: bytes) -> bytes:
    # Level 1: six times as fast as the default for nearly the same size on numbers.
    return bytes(cramjam.gzip.compress(body, level=1))
