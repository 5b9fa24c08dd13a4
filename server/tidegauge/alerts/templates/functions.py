"""The functions of templates: Go's own, and those that Prometheus adds.

Source: Go `text/template`, "Functions"; prometheus.io/docs/prometheus/latest/configuration/
template_reference.
"""

from __future__ import annotations

import html
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from tidegauge.alerts.templates import humanizing
from tidegauge.alerts.templates.comparing import is_equal, is_unequal, ordering
from tidegauge.alerts.templates.errors import BadCall
from tidegauge.alerts.templates.printing import go_print, go_printf, go_println
from tidegauge.alerts.templates.values import GoMap, Record, Value, is_true, name_type
from tidegauge.errors import InvalidInput
from tidegauge.model.matchers import compile_re2
from tidegauge.promql.durations import ns_to_seconds, parse_duration
from tidegauge.promql.expansion import expand_match

MAX_TEXT_CHARS = 64 * 1024

_IPV6_IN_BRACKETS = re.compile(r"\[([^\[\]]*)\]:[^:]*")
_IP = re.compile(r"[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")
_JS = str.maketrans(
    {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026"}
    | {"=": "\\u003D", "\n": "\\u000A", "\r": "\\u000D", "\t": "\\u0009"}
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function, and what it takes.

    Args:
        run: gets the values; raises BadCall.
        takes: the kind of each argument: "any", "string", "vector" (what a query gives),
            "sample" (one of it).
        more: the kind of any further arguments; "": there are none.
    """

    run: Callable[..., Value]
    takes: tuple[str, ...] = ()
    more: str = ""


def go_type_of(kind: str) -> str:
    """Return what messages call a kind of argument."""
    return {"vector": "template.queryResult", "sample": "*template.sample"}.get(kind, kind)


def has_kind(value: Value, kind: str) -> bool:
    """Return whether a value can be an argument of this kind."""
    if kind == "string":
        return isinstance(value, str)
    if kind == "vector":
        return isinstance(value, list)
    if kind == "sample":
        return isinstance(value, Record) and "Labels" in value.fields
    return True


def _first(vector: list[Value]) -> Value:
    if not vector:
        raise BadCall("first() called on vector with no elements")
    return vector[0]


def _label(name: str, sample: Record) -> Value:
    labels = sample.fields["Labels"]
    assert isinstance(labels, GoMap)
    return labels.get(name)


def _replace_all(pattern: str, replacement: str, text: str) -> str:
    parts: list[str] = []
    at = chars = 0
    for match in _compile(pattern).finditer(text):
        if parts and match.end() == at:
            continue  # Go takes no empty match right behind another one.
        parts += (text[at : match.start()], expand_match(replacement, match))
        at = match.end()
        chars += sum(map(len, parts[-2:]))
        if chars > MAX_TEXT_CHARS:
            raise BadCall(f"the result has more than {MAX_TEXT_CHARS} characters")
    return "".join((*parts, text[at:]))


def _compile(pattern: str) -> Any:
    try:
        return compile_re2(pattern)
    except InvalidInput as fault:
        raise BadCall(fault.message) from fault


def _sort_by_label(name: str, vector: list[Any]) -> Value:
    return sorted(vector, key=lambda sample: str(_label(name, sample)))


def _title(text: str) -> str:
    return re.sub(r"(?<!\w)\w", lambda match: match.group().title(), text)


def _strip_port(text: str) -> str:
    bracketed = _IPV6_IN_BRACKETS.fullmatch(text)
    if bracketed:
        return bracketed[1]
    host, colon, _ = text.partition(":")
    return host if colon and text.count(":") == 1 else text


def _strip_domain(text: str) -> str:
    host = _strip_port(text)
    if _IP.fullmatch(host):
        return text
    return host.partition(".")[0] + (text[len(host) :] if text.startswith(host) else "")


def _link(tab: int) -> Callable[[str], str]:
    return lambda expression: f"/graph?g0.expr={quote_plus(expression)}&g0.tab={tab}"


def _parse_duration(text: str) -> float:
    try:
        return ns_to_seconds(parse_duration(text))
    except ValueError as fault:
        raise BadCall(str(fault)) from fault


def _args(*values: Value) -> Value:
    return GoMap({f"arg{place}": value for place, value in enumerate(values)}, texts_only=False)


def _len(value: Value) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, GoMap):
        return len(value.entries)
    if isinstance(value, list):
        return len(value)
    if value is None:
        raise BadCall("len of nil pointer")
    raise BadCall(f"len of type {name_type(value)}")


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(value, GoMap):
            if not isinstance(key, str):
                raise BadCall(f"value has type {name_type(key)}; should be string")
            value = value.get(key)
        elif isinstance(value, list | str):
            parts = value.encode() if isinstance(value, str) else value
            value = parts[_check_index(key, len(parts) - 1)]
        elif value is None:
            raise BadCall("index of untyped nil")
        else:
            raise BadCall(f"can't index item of type {name_type(value)}")
    return value


def _slice(value: Value, *bounds: Value) -> Value:
    if len(bounds) > 2:
        raise BadCall(f"too many slice indexes: {len(bounds)}")
    if not isinstance(value, list | str):
        raise BadCall(f"can't slice item of type {name_type(value)}")
    parts: Any = value.encode() if isinstance(value, str) else value
    low, high = [
        *(_check_index(one, len(parts)) for one in bounds),
        *(0, len(parts))[len(bounds) :],
    ]
    if low > high:
        raise BadCall(f"invalid slice index: {low} > {high}")
    cut = parts[low:high]
    return cut.decode(errors="replace") if isinstance(cut, bytes) else cut


def _check_index(index: Value, highest: int) -> int:
    if not isinstance(index, int) or isinstance(index, bool):
        raise BadCall(f"cannot index slice/array with type {name_type(index)}")
    if not 0 <= index <= highest:
        raise BadCall(f"index out of range: {index}")
    return index


def _escape_html(*values: Value) -> str:
    return html.escape(go_print(values)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


_BUILT_IN: Mapping[str, Function] = {
    # `and` and `or` are here for their names: the interpreter knows when to stop.
    "and": Function(_args, ("any",), "any"),
    "or": Function(_args, ("any",), "any"),
    "not": Function(lambda value: not is_true(value), ("any",)),
    "eq": Function(is_equal, ("any",), "any"),
    "ne": Function(is_unequal, ("any", "any")),
    "lt": Function(ordering(operator.lt), ("any", "any")),
    "le": Function(ordering(operator.le), ("any", "any")),
    "gt": Function(ordering(operator.gt), ("any", "any")),
    "ge": Function(ordering(operator.ge), ("any", "any")),
    "len": Function(_len, ("any",)),
    "index": Function(_index, ("any",), "any"),
    "slice": Function(_slice, ("any",), "any"),
    "print": Function(lambda *values: go_print(values), (), "any"),
    "println": Function(lambda *values: go_println(values), (), "any"),
    "printf": Function(lambda form, *values: go_printf(form, values), ("string",), "any"),
    "html": Function(_escape_html, (), "any"),
    "js": Function(lambda *values: go_print(values).translate(_JS), (), "any"),
    "urlquery": Function(lambda *values: quote_plus(go_print(values)), (), "any"),
}

_PROMETHEUS: Mapping[str, Function] = {
    "first": Function(_first, ("vector",)),
    "label": Function(_label, ("string", "sample")),
    "value": Function(lambda sample: sample.fields["Value"], ("sample",)),
    "strvalue": Function(lambda sample: _label("__value__", sample), ("sample",)),
    "sortByLabel": Function(_sort_by_label, ("string", "vector")),
    "args": Function(_args, (), "any"),
    "reReplaceAll": Function(_replace_all, ("string", "string", "string")),
    "match": Function(
        lambda pattern, text: _compile(pattern).search(text) is not None, ("string", "string")
    ),
    "title": Function(_title, ("string",)),
    "toUpper": Function(lambda text: text.upper(), ("string",)),
    "toLower": Function(lambda text: text.lower(), ("string",)),
    "safeHtml": Function(lambda text: text, ("string",)),
    "stripPort": Function(_strip_port, ("string",)),
    "stripDomain": Function(_strip_domain, ("string",)),
    "graphLink": Function(_link(0), ("string",)),
    "tableLink": Function(_link(1), ("string",)),
    "urlQueryEscape": Function(quote_plus, ("string",)),
    "parseDuration": Function(_parse_duration, ("string",)),
    "humanize": Function(humanizing.humanize, ("any",)),
    "humanize1024": Function(humanizing.humanize_1024, ("any",)),
    "humanizeDuration": Function(humanizing.humanize_duration, ("any",)),
    "humanizePercentage": Function(humanizing.humanize_percentage, ("any",)),
    "humanizeTimestamp": Function(humanizing.humanize_timestamp, ("any",)),
}

FUNCTIONS: Mapping[str, Function] = {**_BUILT_IN, **_PROMETHEUS}
"""Those that need nothing but their arguments."""
