"""JSON bytes of answers, whatever the strings in them hold."""

from __future__ import annotations

from typing import Any

import orjson

from tidegauge.promql.quoting import replace_invalid


def dump_json(value: object) -> bytes:
    """Return a value as JSON; keys stay in the order in which they were put in.

    Strings of a query may hold bytes that are no UTF-8; they become U+FFFD, as in Go.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return orjson.dumps(_mend(value))


def _mend(value: Any) -> Any:
    if isinstance(value, str):
        return replace_invalid(value)
    if isinstance(value, dict):
        return {_mend(key): _mend(inner) for key, inner in value.items()}
    return [_mend(inner) for inner in value] if isinstance(value, list | tuple) else value
