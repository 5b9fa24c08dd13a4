"""Grafana's variables in a query, put in so that the query parses.

Grafana fills them in before it asks; a dashboard is checked without it. What a variable stands for
(a duration, a number, a label, a whole matcher) is told by its definition, else by its neighbours.
Source: Grafana's templating syntax, `$name`, `${name:format}`, `[[name:format]]`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from tidegauge.dashboards.grafana_json import Json, obj, text, variables_of
from tidegauge.errors import InvalidInput

_VARIABLE = re.compile(
    r"\$(?P<plain>\w+)"
    r"|\[\[(?P<old>\w+?)(?::\w+)?\]\]"
    r"|\$\{(?P<braced>\w+)(?:\.[^:^}]+)?(?::[^}]+)?\}",
    re.ASCII,
)
_STRING = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`', re.DOTALL)
_WITHIN_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*$")
_DURATION = re.compile(r"(?:\[|\boffset\s+-?|:)\s*$")
# What stands further back says nothing of a variable, and looking there takes time.
_NEIGHBOURHOOD_CHARS = 4000
MAX_VARIABLES = 200
"""So many places of variables may one query have."""
_NAME_PART = re.compile(r"[\w:]", re.ASCII)
_BUILT_IN = {
    "__interval": "1m",
    "__rate_interval": "4m",
    "__auto": "1m",
    "__range": "1h",
    "__interval_ms": "60000",
    "__range_ms": "3600000",
    "__range_s": "3600",
    "__from": "1700000000000",
    "__to": "1700003600000",
}
_PLACEHOLDER = "x"
_LONGEST_VALUE_CHARS = 100
_MANY = frozenset({"$__all", "All", ""})


def fill_in(query: str, values: Mapping[str, str]) -> Iterable[str]:
    """Yield the query with its variables put in, the likeliest form first.

    Args:
        query: as it stands in the dashboard.
        values: what variables stand for, as far as `values_of` knows.
    Raises:
        InvalidInput: there are more than MAX_VARIABLES in it.
    """
    if sum(1 for _ in _VARIABLE.finditer(query)) > MAX_VARIABLES:
        raise InvalidInput(f"a query may use variables in at most {MAX_VARIABLES} places")
    yield _replace(
        query, values, lambda name, before, after: values.get(name) or guess(before, after)
    )
    yield _replace(query, values, lambda _name, before, after: guess(before, after))


def values_of(document: Json) -> dict[str, str]:
    """Return what the variables of a dashboard stand for now; "" where that is no short text."""
    found = {}
    for variable in variables_of(document):
        current = obj(variable.get("current")).get("value")
        fallback = text(variable.get("query")).split(",")[0].rpartition(" : ")[2].strip()
        if variable.get("type") not in ("custom", "interval", "constant", "textbox"):
            fallback = ""
        first = current[0] if isinstance(current, list) and current else current
        value = text(first) if text(first) not in _MANY else fallback
        if value.startswith("$__auto"):
            value = _BUILT_IN["__auto"]
        short = value if len(value) <= _LONGEST_VALUE_CHARS and "$" not in value else ""
        found[text(variable.get("name"))] = short
    return found


def guess(before: str, after: str) -> str:
    """Return what a variable outside of quotes may stand for, by the text around it."""
    if _DURATION.search(before):
        return "5m"
    if _NAME_PART.match(before[-1:]) or _NAME_PART.match(after[:1]):
        return _PLACEHOLDER
    if _WITHIN_LABELS.search(before):
        return _PLACEHOLDER
    left, right = before.rstrip()[-1:], after.lstrip()[:1]
    inside_braces = before.count("{") > before.count("}")
    if inside_braces:
        # A label's name, or a matcher whole; the comma before it is often part of its value.
        matcher = _PLACEHOLDER if right in ("=", "!") else f'{_PLACEHOLDER}="{_PLACEHOLDER}"'
        return matcher if left in ("{", ",") else f",{matcher}"
    if right == "(":
        return "sum"
    return _PLACEHOLDER if right in ("{", "[") or not left else "1"


def _replace(query: str, values: Mapping[str, str], choose: Callable[[str, str, str], str]) -> str:
    quoted = [(found.start(), found.end()) for found in _STRING.finditer(query)]
    done: list[str] = []
    last = 0
    for found in _VARIABLE.finditer(query):
        name = found["plain"] or found["old"] or found["braced"]
        start, end = found.span()
        done.append(query[last:start])
        last = end
        if name in _BUILT_IN:
            done.append(_BUILT_IN[name])
        elif any(low < start < high for low, high in quoted):
            # As Grafana does: `$SYS` in a pattern is none unless the dashboard has it.
            known = name in values or name.startswith("__") or not found["plain"]
            done.append(_PLACEHOLDER if known else found[0])
        else:
            before = _STRING.sub('""', "".join(done)[-_NEIGHBOURHOOD_CHARS:])
            done.append(choose(name, before, query[end:]))
    return "".join([*done, query[last:]])
