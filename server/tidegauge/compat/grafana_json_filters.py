"""Ad-hoc filters as matchers. Source: grafana-contract §1 (operators)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tidegauge.compat.grafana_json_body import AdhocFilter, read_text
from tidegauge.compat.grafana_json_variables import any_of
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.query.listings import Listings, Scope
from tidegauge.web.params import InvalidParameter

MAX_COMPARED_VALUES = 10_000
"""The most values of a label that `<` and `>` look through."""

_EQUALITIES = {"=": MatchType.EQUAL, "!=": MatchType.NOT_EQUAL}
_ANY_OF = {"=": MatchType.REGEX, "!=": MatchType.NOT_REGEX}
_REGEXES = {"=~": MatchType.REGEX, "!~": MatchType.NOT_REGEX}
_LISTS = {"=|": "=", "!=|": "!="}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
}
OPERATORS = (*_EQUALITIES, *_REGEXES, *_COMPARISONS, *_LISTS)


def read_filters(
    filters: Sequence[AdhocFilter] | None, listings: Listings, *, but_key: str = ""
) -> tuple[Matcher, ...]:
    """Return the matchers that filters stand for.

    Args:
        listings: asked for the values of a label that `<` and `>` choose among.
        but_key: filters on this label are left out.
    Raises:
        InvalidParameter: an unknown operator, or no number to compare with.
        InvalidInput: a regular expression is none.
    """
    matchers: list[Matcher] = []
    for one in filters or ():
        if not one.key or one.key == but_key:
            continue
        value = read_text(one.value)
        if one.operator in _COMPARISONS:
            matchers += _compare(one.key, one.operator, value, listings)
        elif one.operator in _LISTS:
            values = tuple(read_text(value) for value in one.values or ()) or (value,)
            matchers.append(match_values(one.key, _LISTS[one.operator], values))
        elif one.operator in _REGEXES:
            matchers.append(Matcher(_REGEXES[one.operator], one.key, value))
        elif one.operator in _EQUALITIES:
            matchers.append(match_values(one.key, one.operator, (value,)))
        else:
            known = " ".join(OPERATORS)
            raise InvalidParameter(
                "filters", f'"{one.operator[:16]}" on "{one.key[:64]}" is none of {known}'
            )
    return tuple(matchers)


def match_values(key: str, operator: str, values: tuple[str, ...]) -> Matcher:
    """Return the matcher for any of these values, or for none of them.

    Args:
        operator: `=` or `!=`; a regular expression of literals where there are several values.
    """
    if len(values) == 1:
        return Matcher(_EQUALITIES[operator], key, values[0])
    return Matcher(_ANY_OF[operator], key, any_of(values))


def _compare(key: str, operator: str, value: str, listings: Listings) -> list[Matcher]:
    """PromQL cannot compare labels: take those of the label's values that pass."""
    bound = _read_number(value)
    if bound is None:
        raise InvalidParameter(
            "filters", f'"{key[:64]}" {operator} "{value[:64]}": a number is wanted'
        )
    found = listings.label_values(key, Scope(limit=MAX_COMPARED_VALUES))
    if found.truncated:
        raise InvalidParameter(
            "filters",
            f'"{key[:64]}" has more than {MAX_COMPARED_VALUES} values, too many for {operator}',
        )
    passes = _COMPARISONS[operator]
    numbers = ((text, _read_number(text)) for text in found.items)
    passed = tuple(text for text, number in numbers if number is not None and passes(number, bound))
    if passed:
        return [match_values(key, "=", passed)]
    # Nothing has a label and lacks it.
    return [Matcher(MatchType.EQUAL, key, ""), Matcher(MatchType.NOT_EQUAL, key, "")]


def _read_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
