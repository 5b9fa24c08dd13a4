"""The options of a query: the forms that Grafana's builder shows, and what was filled in.

One table has both. Source: grafana-contract §1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tidegauge.compat.grafana_json_body import read_text
from tidegauge.compat.grafana_json_filters import match_values
from tidegauge.compat.grafana_json_variables import Variables, any_of
from tidegauge.errors import InvalidInput
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.query.times import parse_duration_ms

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
AGGREGATIONS = ("avg", "sum", "min", "max", "count", "stddev", *QUANTILES)
RATES = ("rate", "increase", "irate", "delta", "deriv")
TRANSFORMS = ("abs", "ceil", "floor", "round", "sqrt", "exp", "ln", "log2", "log10", "sgn")
FORMATS = ("time_series", "table")
MAX_LIMIT = 10_000
MAX_NAMES = 1000
MAX_CONDITIONS = 50
MAX_ALIAS_CHARS = 256
MAX_UNIT_CHARS = 64

_CONDITION = re.compile(r"([^\s=!~]+)\s*(=~|!~|!=|=)(.*)", re.DOTALL)
_QUOTED = re.compile(r"([\"'`])(.*)\1", re.DOTALL)


class InvalidOption(InvalidInput):
    """An option of a query is wrong.

    Args:
        name: the option.
        reason: what is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f'invalid option "{name}": {reason}')


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form.

    Args:
        choices: what may be chosen; None where it is typed, or asked for when it is opened.
    """

    name: str
    label: str
    type: str
    placeholder: str
    choices: tuple[str, ...] | None = None
    width: int = 20

    def describe(self) -> dict[str, object]:
        """Return the field as the builder wants it."""
        described: dict[str, object] = {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "placeholder": self.placeholder,
            "width": self.width,
        }
        if self.choices is not None:
            described["options"] = describe_choices(self.choices)
        return described


FIELDS = (
    Field("aggregation", "Aggregation", "select", "none", AGGREGATIONS),
    Field("group_by", "Group by", "multi-select", "labels", width=30),
    Field("rate", "Rate", "select", "none", RATES),
    Field("window", "Window", "input", "$__rate_interval"),
    Field("transform", "Transform", "select", "none", TRANSFORMS),
    Field("limit", "Limit", "input", "most series"),
    Field("unit", "Unit", "input", "bytes, s, percentunit"),
    Field("alias", "Alias", "input", "{{label}}", width=30),
    Field("format", "Format", "select", "time_series", FORMATS),
    Field("min_step", "Min step", "input", "15s"),
    Field("where", "Where", "textarea", "host =~ $host, one condition a line"),
)


def describe_choices(choices: Sequence[str]) -> list[dict[str, str]]:
    """Return what may be chosen as the builder wants it."""
    return [{"label": choice, "value": choice} for choice in choices]


@dataclass(frozen=True, slots=True)
class Options:
    """What was filled in.

    Args:
        aggregation, rate, transform: one of the choices above, "" for none.
        group_by: the labels to aggregate by.
        window_ms: of the rate; 0 for one that suits the step.
        limit: the most series; 0 for all.
        unit: Grafana's id of it, "" for none.
        alias: the name of series, with `{{label}}` for a label's value; "" for the usual one.
        as_table: the last value of each series instead of a series.
        min_step_ms: the step is not below this.
        where: what series must match.
        unknown: names of options that there are not.
    """

    aggregation: str = ""
    group_by: tuple[str, ...] = ()
    rate: str = ""
    window_ms: int = 0
    transform: str = ""
    limit: int = 0
    unit: str = ""
    alias: str = ""
    as_table: bool = False
    min_step_ms: int = 0
    where: tuple[Matcher, ...] = ()
    unknown: tuple[str, ...] = ()


def read_payload(payload: Any) -> Mapping[str, Any]:
    """Return a payload as an object; older plugins send its text.

    Raises:
        InvalidOption: it is neither an object nor the text of one.
    """
    if isinstance(payload, str) and payload.strip():
        try:
            payload = orjson.loads(payload)
        except orjson.JSONDecodeError as exc:
            raise InvalidOption("payload", f"it is no JSON: {exc}") from exc
    if payload is None or payload == "":
        return {}
    if not isinstance(payload, dict):
        raise InvalidOption("payload", "a JSON object is wanted")
    return payload


def read_options(payload: Mapping[str, Any], variables: Variables) -> Options:
    """Return the options in a payload, with variables put in.

    Raises:
        InvalidOption, InvalidInput.
    """
    reader = OptionReader(payload, variables)
    known = {field.name for field in FIELDS}
    options = Options(
        aggregation=reader.choice("aggregation", AGGREGATIONS),
        group_by=reader.names("group_by"),
        rate=reader.choice("rate", RATES),
        window_ms=reader.duration_ms("window"),
        transform=reader.choice("transform", TRANSFORMS),
        limit=reader.count("limit"),
        unit=reader.text("unit", most=MAX_UNIT_CHARS),
        alias=reader.text("alias", most=MAX_ALIAS_CHARS),
        as_table=reader.choice("format", FORMATS) == "table",
        min_step_ms=reader.duration_ms("min_step"),
        where=reader.conditions("where"),
        unknown=tuple(sorted(name[:64] for name in payload if name not in known)),
    )
    if options.group_by and not options.aggregation:
        raise InvalidOption("group_by", 'it needs an "aggregation"')
    if options.window_ms and not options.rate:
        raise InvalidOption("window", 'it is the window of a "rate", and there is none')
    return options


class OptionReader:
    """Reads options one by one, with variables put in; each raises InvalidOption."""

    def __init__(self, payload: Mapping[str, Any], variables: Variables) -> None:
        self._payload, self._variables = payload, variables

    def text(self, name: str, *, most: int = MAX_ALIAS_CHARS) -> str:
        """Return a text of at most so many characters, "" where it is missing."""
        text = self._variables.fill_text(self._raw(name))
        if len(text) > most:
            raise InvalidOption(name, f"{len(text)} characters, at most {most} are taken")
        return text

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Return what was chosen, "" for nothing and for `none`."""
        chosen = self.text(name).strip()
        if chosen in ("", "none"):
            return ""
        if chosen not in choices:
            raise InvalidOption(name, f'"{chosen[:64]}" is none of {", ".join(choices)}')
        return chosen

    def count(self, name: str, *, high: int = MAX_LIMIT) -> int:
        """Return a number from 1 on, 0 where it is missing."""
        text = self.text(name).strip()
        if not text:
            return 0
        if not (text.isascii() and text.isdigit() and 0 < int(text[:18]) <= high):
            raise InvalidOption(name, f'"{text[:64]}" is no whole number from 1 to {high}')
        return int(text)

    def duration_ms(self, name: str) -> int:
        """Return a duration of at least 1 ms, 0 where it is missing."""
        text = self.text(name).strip()
        if not text:
            return 0
        try:
            length_ms = parse_duration_ms(text)
        except InvalidInput as exc:
            raise InvalidOption(name, exc.message) from exc
        if length_ms < 1:
            raise InvalidOption(name, f'"{text[:64]}" is not at least a millisecond')
        return length_ms

    def names(self, name: str) -> tuple[str, ...]:
        """Return names, from a list or a text with commas, each once."""
        given = self._payload.get(name)
        texts = given if isinstance(given, list) else self._raw(name).split(",")
        found: list[str] = []
        for text in texts:
            said = self._scalar(name, text).strip()
            found += self._variables.find_values(said) or (said,)
            if len(found) > MAX_NAMES:
                raise InvalidOption(name, f"more than {MAX_NAMES} names")
        return tuple(dict.fromkeys(label for label in found if label))

    def conditions(self, name: str) -> tuple[Matcher, ...]:
        """Return the matchers of lines, or of an object of values by label."""
        given = self._payload.get(name)
        count = len(given) if isinstance(given, dict) else self._raw(name).count("\n")
        if count > MAX_CONDITIONS:
            raise InvalidOption(name, f"more than {MAX_CONDITIONS} conditions")
        if isinstance(given, dict):
            return tuple(self._any_of(name, key, value) for key, value in given.items())
        lines = [line for line in self._raw(name).split("\n") if line.strip()]
        return tuple(self._condition(name, line) for line in lines)

    def _any_of(self, name: str, key: str, value: Any) -> Matcher:
        values = value if isinstance(value, list) else [value]
        if not key or not values:
            raise InvalidOption(name, "a label and its values are wanted")
        return match_values(key, "=", tuple(self._scalar(name, one) for one in values))

    def _condition(self, name: str, line: str) -> Matcher:
        found = _CONDITION.fullmatch(line.strip())
        if found is None:
            raise InvalidOption(name, f'"{line[:64]}" is not like host = web1 or host =~ web.*')
        key, operator, value = found[1], found[2], found[3].strip()
        quoted = _QUOTED.fullmatch(value)
        value = quoted[2] if quoted else value
        values = self._variables.find_values(value)
        if operator in ("=", "!="):
            return match_values(key, operator, values or (self._variables.fill_text(value),))
        pattern = any_of(values) if values else self._variables.fill_regex(value)
        return Matcher(MatchType(operator), key, pattern)

    def _raw(self, name: str) -> str:
        return self._scalar(name, self._payload.get(name))

    def _scalar(self, name: str, value: Any) -> str:
        if value is not None and not isinstance(value, str | int | float):
            raise InvalidOption(name, "a text is wanted")
        return read_text(value)
