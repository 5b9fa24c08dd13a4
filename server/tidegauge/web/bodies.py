"""Bodies within a limit: refused by their declared length before a byte is read, or by count."""

from __future__ import annotations

import contextlib
import socket
from typing import TypeVar

import msgspec
from flask import request
from werkzeug.exceptions import ClientDisconnected

from tidegauge.errors import InvalidInput, PayloadTooLarge, Unavailable

T = TypeVar("T")

MAX_JSON_BYTES = 1024 * 1024


def read_body(max_bytes: int, *, setting: str = "", keep: bool = False) -> bytes:
    """Return the raw body.

    Args:
        max_bytes: the longest body taken.
        setting: the environment variable that allows longer ones, if there is one.
        keep: leave the body for werkzeug to read again, as a form.
    Raises:
        PayloadTooLarge: it is longer, whether it says so beforehand or not.
        Unavailable: it stopped arriving; nothing is wrong with what was sent.
    """
    if request.content_length is not None and request.content_length > max_bytes:
        raise _too_large(max_bytes, setting)
    # werkzeug ends a body of undeclared length at its limit without a word: one byte more shows
    # that there was more.
    request.max_content_length = max_bytes + 1
    try:
        body = request.get_data(cache=keep)
    except ClientDisconnected as exc:
        _receive_no_more()
        raise Unavailable("the body did not arrive whole; send it again") from exc
    if len(body) > max_bytes:
        raise _too_large(max_bytes, setting)
    return body


def read_json(shape: type[T], *, max_bytes: int = MAX_JSON_BYTES, or_empty: bool = False) -> T:
    """Return the JSON body, checked against a msgspec shape.

    Args:
        max_bytes: the longest body taken.
        or_empty: take no body for an empty object.
    Raises:
        PayloadTooLarge: it is too long.
        InvalidInput: it is not JSON, or not of this shape; with the path of the fault.
    """
    body = read_body(max_bytes)
    if or_empty and not body.strip():
        body = b"{}"
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidInput(f"the body is not what is wanted: {exc}") from exc


def _receive_no_more() -> None:
    # Otherwise gunicorn waits as long again for the rest, before it looks for a next request.
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RD)


def _too_large(max_bytes: int, setting: str) -> PayloadTooLarge:
    more = f"; {setting} allows more" if setting else ""
    return PayloadTooLarge(f"the body is longer than {max_bytes} bytes{more}")
