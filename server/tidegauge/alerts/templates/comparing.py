"""`eq`, `ne`, `lt` and the others: values of one kind only, as Go compares them.

Source: Go `text/template/funcs.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidegauge.alerts.templates.errors import BadCall
from tidegauge.alerts.templates.values import Value, name_type, to_text

_BASIC = (bool, int, float, str)
_INCOMPATIBLE = "incompatible types for comparison"


def is_equal(first: Value, *others: Value) -> bool:
    """Return whether the first value is equal to one of the others.

    Raises:
        BadCall: nothing to compare with, or of another kind.
    """
    if not others:
        raise BadCall("missing argument for comparison")
    _check_comparable(first)
    return any(_is_same(first, other) for other in others)


def is_unequal(first: Value, second: Value) -> bool:
    """Return whether two values differ.

    Raises:
        BadCall: they are of different kinds.
    """
    return not is_equal(first, second)


def ordering(decide: Callable[[Any, Any], bool]) -> Callable[[Value, Value], bool]:
    """Return a comparison of two numbers, or two texts, by this operator."""

    def compare(first: Value, second: Value) -> bool:
        for value in (first, second):
            if not isinstance(value, int | float | str) or isinstance(value, bool):
                raise BadCall("invalid type for comparison")
        if type(first) is not type(second):
            raise BadCall(_INCOMPATIBLE)
        return decide(first, second)

    return compare


def _is_same(first: Value, second: Value) -> bool:
    _check_comparable(second)
    if first is None or second is None:
        return first is second
    if type(first) is not type(second):
        raise BadCall(_INCOMPATIBLE)
    return first == second


def _check_comparable(value: Value) -> None:
    if value is not None and not isinstance(value, _BASIC):
        raise BadCall(f"non-comparable type {to_text(value)}: {name_type(value)}")
