"""Which alerts are meant, as bodies and answers say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from tidegauge.model.matchers import Matcher, MatchType


class MatcherBody(msgspec.Struct, forbid_unknown_fields=True):
    """A label that must fit: as it is, not, or as a regular expression."""

    name: str
    value: str
    operator: Literal["=", "!=", "=~", "!~"] = "="


def read_matchers(bodies: Sequence[MatcherBody]) -> tuple[Matcher, ...]:
    """Return the matchers of a body.

    Raises:
        InvalidInput: a regular expression is none.
    """
    return tuple(Matcher(MatchType(one.operator), one.name, one.value) for one in bodies)


def describe_matchers(matchers: Sequence[Matcher]) -> list[dict[str, object]]:
    """Return matchers as an answer shows them."""
    return [{"name": one.name, "operator": one.type.value, "value": one.value} for one in matchers]
