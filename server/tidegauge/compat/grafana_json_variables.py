"""Dashboard variables in queries: whatever their values hold, they stay inside their quotes.

Grafana puts values into a query before it sends it, as for a regular expression and without a
thought of quotes. But it sends the values along, so that they can be found again in the text and
put in properly. Variables that it does not know (`$__rate_interval`) are put in here.
Source: grafana-contract §1; Grafana `formatRegistry` (regex).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tidegauge.errors import InvalidInput
from tidegauge.promql.nodes import Span, StringLiteral
from tidegauge.promql.printer import print_expr
from tidegauge.promql.quoting import unquote
from tidegauge.query.parsing import MAX_TEXT_BYTES, check_length

_NOWHERE = Span(0, 0)
_REFERENCE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::[^{}]*)?\})", re.ASCII)
# Strings, and comments, in which quotes mean nothing. A string that does not end is taken whole,
# too: tried again from each quote in it, it would take time by the square of its length.
_LITERAL = re.compile(
    r"""("(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|`[^`]*`?|\#[^\n]*)""", re.VERBOSE | re.DOTALL
)
_MARK = re.compile("\ue000([0-9]+)\ue001", re.ASCII)
_META = re.compile(r"[\\^$.*+?()\[\]{}|]")
_META_AND_SLASH = re.compile(r"[\\^$.*+?()\[\]{}|/]")
# An escape of a regular expression that PromQL has no meaning for.
_FOREIGN_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\([.+*?()|\[\]{}^$/-])")
_QUOTES = frozenset("\"'`\n")
_CLOSERS = _QUOTES | {"\\"}
# What may stand in a query outside quotes: a name, a number, a duration.
_TOKEN = re.compile(r"[A-Za-z_:][\w:]*|\d+(?:\.\d+)?|(?:\d+(?:ms|[smhdwy]))+", re.ASCII)


MAX_RISKY_VALUES = 2000
MAX_LIFTED_VALUES = 20
"""Looking for values in a query takes time for each; hardly any hold quotes or backslashes."""


@dataclass(frozen=True, slots=True)
class _Risky:
    """A text that could end the string in which Grafana has put it.

    Args:
        values: what it stands for.
        is_raw: it is a value as it is, as `${name:raw}` has it, and not escaped.
    """

    form: str
    values: tuple[str, ...]
    is_raw: bool


_PutIn = Callable[[tuple[str, ...]], str]


class _Budget:
    """Ends the filling of a text that grows beyond what a query may be long."""

    def __init__(self) -> None:
        self._left = MAX_TEXT_BYTES

    def spend(self, text: str) -> str:
        self._left -= len(text)
        if self._left < 0:
            raise InvalidInput(
                f"with its variables put in, the text is longer than {MAX_TEXT_BYTES} bytes"
            )
        return text


def escape_regex(text: str) -> str:
    """Return the regular expression that fits exactly this text."""
    return _META.sub(r"\\\g<0>", text)


def any_of(values: tuple[str, ...]) -> str:
    """Return the regular expression that fits exactly these values."""
    escaped = [escape_regex(value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


class Variables:
    """The variables of one request.

    Args:
        scoped: the values of the dashboard's variables.
        built_in: texts of the variables that Grafana calculates; safe to stand anywhere.
    """

    def __init__(self, scoped: Mapping[str, tuple[str, ...]], built_in: Mapping[str, str]) -> None:
        self._scoped, self._built_in = scoped, built_in
        self._by_form = {
            form: values for values in scoped.values() if values for form in _forms(values)
        }
        self._risky = _find_risky(self._by_form, scoped)

    def with_built_in(self, built_in: Mapping[str, str]) -> Variables:
        """Return the same variables with other texts of those that Grafana calculates."""
        # The forms of thousands of values are made once for all queries of a panel.
        other = copy.copy(self)
        other._built_in = built_in
        return other

    def find_values(self, text: str) -> tuple[str, ...] | None:
        """Return the values of the variable that a text is, put in or not; None if it is none."""
        reference = _REFERENCE.fullmatch(text)
        if reference is not None:
            return self._scoped.get(reference[1] or reference[2])
        return self._by_form.get(text)

    def fill_text(self, text: str) -> str:
        """Return a text for people with its variables put in."""
        return self._fill(text, ", ".join, _Budget())

    def fill_regex(self, text: str) -> str:
        """Return a regular expression with its variables put in, escaped."""
        return self._fill(text, any_of, _Budget())

    def fill_query(self, text: str) -> str:
        """Return PromQL with its variables put in; no value ends the string that it stands in.

        Raises:
            InvalidInput: a variable stands outside quotes and holds more than a name or a number,
                or far too many values hold quotes.
        """
        check_length(text)
        budget = _Budget()
        parts = _LITERAL.split(self._lift(text))
        filled = []
        for place, part in enumerate(parts):
            if place % 2 == 0:
                filled.append(_REFERENCE.sub(lambda at: budget.spend(self._fill_bare(at)), part))
            elif not part.startswith("#"):
                before = parts[place - 1].rstrip()
                put_in = any_of if before.endswith(("=~", "!~")) else _one_or_any_of
                filled.append(self._fill_literal(part, put_in, budget))
        return "".join(filled)

    def _lift(self, text: str) -> str:
        """Put marks in the place of values that could end the string in which they stand."""
        if len(self._risky) > MAX_RISKY_VALUES:
            raise InvalidInput(
                f"{len(self._risky)} values of variables hold quotes or backslashes, at most "
                f"{MAX_RISKY_VALUES} are taken; choose fewer"
            )
        present = [(number, one.form) for number, one in enumerate(self._risky) if one.form in text]
        if len(present) > MAX_LIFTED_VALUES:
            raise InvalidInput(
                f"{len(present)} values with quotes or backslashes stand in one query, at most "
                f"{MAX_LIFTED_VALUES} are taken; choose fewer"
            )
        for number, form in present:
            mark = f"\ue000{number}\ue001"
            parts = _LITERAL.split(text.replace(form, mark))
            # Outside of strings it is the query's own text that looks like the value.
            parts[0::2] = [part.replace(mark, form) for part in parts[0::2]]
            text = "".join(parts)
        return text

    def _fill_literal(self, literal: str, put_in: _PutIn, budget: _Budget) -> str:
        def unmark(found: re.Match[str]) -> str:
            one = self._find_marked(found)
            if one is None:
                return found[0]
            return budget.spend(one.values[0] if one.is_raw else put_in(one.values))

        try:
            said = unquote(literal)
        except ValueError:
            try:
                said = unquote(_FOREIGN_ESCAPE.sub(r"\1\\\\\2", literal))
            except ValueError:
                # The parser says what is wrong with it, in the words that were sent.
                return _MARK.sub(lambda at: budget.spend(self._show_marked(at)), literal)
        filled = _MARK.sub(unmark, self._fill(said, put_in, budget))
        return print_expr(StringLiteral(filled, _NOWHERE))

    def _find_marked(self, found: re.Match[str]) -> _Risky | None:
        number = int(found[1][:6])
        return self._risky[number] if number < len(self._risky) else None

    def _show_marked(self, found: re.Match[str]) -> str:
        one = self._find_marked(found)
        return found[0] if one is None else one.form

    def _fill(self, text: str, put_in: _PutIn, budget: _Budget) -> str:
        def replace(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if name in self._built_in:
                return budget.spend(self._built_in[name])
            values = self._scoped.get(name)
            return budget.spend(put_in(values)) if values else found[0]

        return _REFERENCE.sub(replace, text)

    def _fill_bare(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name in self._built_in:
            return self._built_in[name]
        values = self._scoped.get(name)
        if not values:
            return found[0]
        for value in values:
            if not _TOKEN.fullmatch(value):
                raise InvalidInput(
                    f"the variable ${name} holds {value[:64]!r}; outside quotes only names, "
                    "numbers and durations may stand"
                )
        return ", ".join(values)


def _forms(values: tuple[str, ...]) -> set[str]:
    """Return how Grafana writes these values into a query; its releases differ in the slash."""
    found = set()
    for meta in (_META, _META_AND_SLASH):
        escaped = [meta.sub(r"\\\g<0>", value) for value in values]
        found.add(escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})")
    found.discard("")
    return found


def _find_risky(
    by_form: Mapping[str, tuple[str, ...]], scoped: Mapping[str, tuple[str, ...]]
) -> list[_Risky]:
    """Return what could end a string, longest first: a short value may be part of a long one."""
    risky = {
        form: _Risky(form, values, False)
        for form, values in by_form.items()
        if _CLOSERS.intersection(form)
    }
    for values in scoped.values():
        for value in values:
            if _QUOTES.intersection(value) or value.endswith("\\"):
                risky.setdefault(value, _Risky(value, (value,), True))
    return sorted(risky.values(), key=lambda one: len(one.form), reverse=True)


def _one_or_any_of(values: tuple[str, ...]) -> str:
    return values[0] if len(values) == 1 else any_of(values)
