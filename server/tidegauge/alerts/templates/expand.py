"""Expands the templates of a rule's labels and annotations."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from tidegauge.alerts.templates.errors import BadCall, TemplateError
from tidegauge.alerts.templates.execution import Budget, Execution
from tidegauge.alerts.templates.functions import FUNCTIONS, MAX_TEXT_CHARS, Function
from tidegauge.alerts.templates.parser import Template, parse_template
from tidegauge.alerts.templates.values import GoMap, Record, Value
from tidegauge.errors import TidegaugeError

MAX_QUERIES = 20
MAX_SAMPLES = 10_000

Query = Callable[[str], Sequence[tuple[Mapping[str, str], float]]]

# What Prometheus puts before each template of a rule; columns in messages count it too.
_PRELUDE = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}"
    "{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
_DATA_TYPE = (
    "struct { Labels map[string]string; ExternalLabels map[string]string; "
    "ExternalURL string; Value interface {} }"
)
_OF_THE_PLACE = ("query", "externalURL", "pathPrefix", "now")
_NAMES = frozenset((*FUNCTIONS, *_OF_THE_PLACE))


def _no_query(_text: str) -> Sequence[tuple[Mapping[str, str], float]]:
    raise BadCall("there are no queries here")


@dataclass(frozen=True, slots=True)
class AlertData:
    """What a template can see of an alert.

    Args:
        name: of the rule, for messages.
        labels: of the series, with those of the rule where they are known already.
        value: of the query.
        now_ms: the time of the evaluation, Unix ms.
        query: answers a query at that time: (labels, value) of each series; its errors become
            those of the template.
        external_labels: what this installation adds to all alerts.
        external_url: where people reach it; "": nobody said.
    """

    name: str
    labels: Mapping[str, str]
    value: float
    now_ms: int
    query: Query = _no_query
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""


def check_template(text: str, *, name: str) -> None:
    """Return if a template can be parsed.

    Args:
        text: the template.
        name: of the rule, for messages.
    Raises:
        TemplateError: names the line.
    """
    _parse(name, text)


def expand(text: str, data: AlertData, *, clock: Callable[[], float] = time.thread_time) -> str:
    """Return the text of a template for an alert.

    It takes no more than 100 ms of work beside its queries, gives at most 64 thousand characters,
    and reaches nothing but the data.

    Args:
        text: the template.
        data: the alert.
        clock: seconds of work of this thread: a busy machine must not cost an alert its text.
    Raises:
        TemplateError: in the words of Prometheus.
    """
    if "{{" not in text and len(text) <= MAX_TEXT_CHARS:
        return text
    budget = Budget(clock)
    functions = {**FUNCTIONS, **_place_functions(data, budget)}
    root = Record(
        _DATA_TYPE,
        {
            "Labels": GoMap(data.labels),
            "ExternalLabels": GoMap(data.external_labels),
            "ExternalURL": data.external_url,
            "Value": data.value,
        },
    )
    # PostgreSQL holds no NUL, and no alert shall get stuck over one.
    return Execution(_parse(data.name, text), functions, budget).run(root).replace("\0", "\ufffd")


def expand_or_explain(
    text: str, data: AlertData, *, clock: Callable[[], float] = time.thread_time
) -> str:
    """Return the text of a template, or why there is none: an alert goes out all the same."""
    try:
        return expand(text, data, clock=clock)
    except TemplateError as fault:
        return f"<error expanding template: {fault.message}>"


def _parse(name: str, text: str) -> Template:
    whole = f"__alert_{name}"
    if len(text) > MAX_TEXT_CHARS:
        raise TemplateError(
            f"error parsing template {whole}: {len(text)} characters, at most {MAX_TEXT_CHARS} "
            "are allowed"
        )
    return _parse_once(whole, text)


@lru_cache(maxsize=1024)
def _parse_once(name: str, text: str) -> Template:
    # Every rule is expanded every few seconds, and its text stays what it is.
    return parse_template(name, _PRELUDE + text, _NAMES)


def _place_functions(data: AlertData, budget: Budget) -> dict[str, Function]:
    asked = 0

    def ask(text: str) -> Value:
        nonlocal asked
        asked += 1
        if asked > MAX_QUERIES:
            raise BadCall(f"more than {MAX_QUERIES} queries")
        return budget.lend(lambda: _ask(data.query, text))

    path = data.external_url.partition("://")[2].partition("/")
    return {
        "query": Function(ask, ("string",)),
        "externalURL": Function(lambda: data.external_url),
        "pathPrefix": Function(lambda: "/" + path[2] if path[1] else ""),
        "now": Function(lambda: data.now_ms / 1000),
    }


def _ask(query: Query, text: str) -> list[Value]:
    try:
        found = query(text)
    except TidegaugeError as fault:
        raise BadCall(fault.message) from fault
    if len(found) > MAX_SAMPLES:
        raise BadCall(f"the query gives {len(found)} series, at most {MAX_SAMPLES} are allowed")
    return [
        Record("*template.sample", {"Labels": GoMap(labels), "Value": float(value)})
        for labels, value in found
    ]
