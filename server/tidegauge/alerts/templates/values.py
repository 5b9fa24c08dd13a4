"""The values that a template works with: what they are called, when they are true, how printed.

Texts, numbers, booleans and None (nil) are Python's own; a map is a dict, a list a list, and a
record is what Go would have as a struct: only its fields can be reached, and nothing else of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegauge.model.floats import format_go_g

Value = object


@dataclass(frozen=True, slots=True)
class Record:
    """Named fields.

    Args:
        go_type: what messages call it.
        fields: by name.
    """

    go_type: str
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class GoMap:
    """A map: a key that is missing is an empty text, or nil where values may be anything.

    Args:
        entries: by key.
        texts_only: whether all values are texts.
    """

    entries: Mapping[str, Value]
    texts_only: bool = True

    def get(self, key: str) -> Value:
        """Return the value of a key, or the zero value."""
        return self.entries.get(key, "" if self.texts_only else None)


def name_type(value: Value) -> str:
    """Return what Go calls the type of a value."""
    if value is None:
        return "<nil>"
    if isinstance(value, Record):
        return value.go_type
    if isinstance(value, GoMap):
        return "map[string]string" if value.texts_only else "map[string]interface {}"
    if isinstance(value, list):
        return "template.queryResult"
    known: dict[type, str] = {bool: "bool", int: "int", float: "float64", str: "string"}
    return known[type(value)]


def is_true(value: Value) -> bool:
    """Return whether a value counts as true: not zero, not empty, not nil."""
    if isinstance(value, GoMap):
        return bool(value.entries)
    return isinstance(value, Record) or bool(value)


def to_text(value: Value) -> str:
    """Return a value as Go's `%v` prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format_go_g(value)
    if isinstance(value, GoMap):
        entries = (f"{key}:{to_text(one)}" for key, one in sorted(value.entries.items()))
        return f"map[{' '.join(entries)}]"
    if isinstance(value, list):
        return f"[{' '.join(map(to_text, value))}]"
    if isinstance(value, Record):
        return "&{" + " ".join(map(to_text, value.fields.values())) + "}"
    return str(value)
