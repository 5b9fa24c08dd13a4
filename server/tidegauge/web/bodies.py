"""Bodies within a limit: refused by their declared length before a byte is read, or by count."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from flask import request

from tidegauge.errors import InvalidInput

T = TypeVar("T")

MAX_JSON_BYTES = 1024 * 1024


def read_body(max_bytes: int) -> bytes:
    """Return the raw body.

    Raises:
        RequestEntityTooLarge: it is longer, whether it says so beforehand or not.
    """
    request.max_content_length = max_bytes
    return request.get_data(cache=False)


def read_json(shape: type[T], *, max_bytes: int = MAX_JSON_BYTES) -> T:
    """Return the JSON body, checked against a msgspec shape.

    Raises:
        RequestEntityTooLarge: it is too long.
        InvalidInput: it is not JSON, or not of this shape; with the path of the fault.
    """
    body = read_body(max_bytes)
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidInput(f"the body is not what is wanted: {exc}") from exc
