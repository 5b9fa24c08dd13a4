"""A body held to a schema; what is wrong is told with place, reason and value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from marshmallow import Schema, ValidationError

from tidegauge.errors import InvalidInput
from tidegauge.web.bodies import read_body

MOST_FAULTS = 20
_SHOWN_CHARS = 64
_NOTHING = object()


class InvalidBody(InvalidInput):
    """The body is not of the form that is wanted; the message names every place, up to a limit."""

    code = "bad_body"


def read_value(max_bytes: int, *, setting: str = "") -> Any:
    """Return the JSON body, whatever it is.

    Args:
        max_bytes: the longest body taken.
        setting: what allows longer ones.
    Raises:
        PayloadTooLarge: it is longer.
        InvalidBody: it is not JSON.
    """
    body = read_body(max_bytes, setting=setting)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidBody(f"the body is not JSON: {exc}") from exc


def load(schema: Schema, value: Any, *, partial: bool = False) -> dict[str, Any]:
    """Return a value as a schema has it.

    Args:
        partial: what is required may be missing.
    Raises:
        InvalidBody: it does not fit.
    """
    if not isinstance(value, dict):
        raise InvalidBody("the body: an object is wanted")
    try:
        loaded: dict[str, Any] = schema.load(value, partial=partial)
    except ValidationError as exc:
        faults = list(_flatten(exc.messages, (), value))
        told = "; ".join(faults[:MOST_FAULTS])
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise InvalidBody(told + more) from exc
    return loaded


def _flatten(messages: Any, path: tuple[Any, ...], value: Any) -> Iterator[str]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            deeper = path if key == "_schema" else (*path, key)
            yield from _flatten(inner, deeper, value)
        return
    held = _follow(value, path)
    shown = ""
    if held is not _NOTHING and not isinstance(held, dict | list):
        shown = f" ({_show(held)})"
    for message in messages:
        yield f"{_name(path)}: {_reword(message)}{shown}"


def _follow(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return _NOTHING
    return value


def _show(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _name(path: tuple[Any, ...]) -> str:
    parts = (f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return "".join(parts).removeprefix(".") or "the body"


def _reword(message: Any) -> str:
    text = str(message).rstrip(".")
    return text[:1].lower() + text[1:]
