"""What the tests of the text half of PromQL share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from tidegauge.promql import nodes
from tidegauge.promql.parser import ParserOptions

ALL_ON = ParserOptions(
    experimental_functions=True, extended_range_selectors=True, fill_modifiers=True
)
_NOWHERE = nodes.Span(0, 0)


def _strip(value: object) -> object:
    """Return a tree without its positions, and with NaN as something equal to itself."""
    if isinstance(value, nodes.Span):
        return _NOWHERE
    if isinstance(value, nodes.VectorSelector):
        # Printing sorts matchers; their order means nothing.
        order = sorted(value.matchers, key=lambda m: (m.name, m.type.value, m.value))
        value = dataclasses.replace(value, matchers=tuple(order))
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return (type(value).__name__, *(_strip(getattr(value, field.name)) for field in fields))
    if isinstance(value, tuple):
        return tuple(_strip(item) for item in value)
    return "NaN" if value != value else value


@pytest.fixture
def options() -> ParserOptions:
    """Everything that can be switched on is on."""
    return ALL_ON


@pytest.fixture
def strip_places() -> Callable[[object], object]:
    """Makes trees comparable apart from their positions."""
    return _strip
