"""Compression of answers: who may have them compressed, from which size on, and how."""

from __future__ import annotations

from collections.abc import Callable

import cramjam
from flask import Response, request

MIN_COMPRESSED_BYTES = 2048

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


def _accepts_gzip() -> bool:
    return request.accept_encodings["gzip"] > 0


def _gzip(body: bytes) -> bytes:
    # Level 1: six times as fast as the default for nearly the same size on numbers.
    return bytes(cramjam.gzip.compress(body, level=1))
