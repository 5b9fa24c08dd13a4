"""Request parameters: the form first, then the query string, as Go's FormValue has it.

Source: grafana-contract §2.1. Grafana appends its `customQueryParameters` to the URL even of a
POST; werkzeug's own `request.values` would prefer those.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import request
from werkzeug.datastructures import MultiDict

from tidegauge.errors import InvalidInput
from tidegauge.web.bodies import read_body

MAX_FORM_BYTES = 2 * 1024 * 1024
"""Largest form body; a query is far below, a hundred long `match[]` are too."""


class InvalidParameter(InvalidInput):
    """One parameter is wrong.

    Args:
        name: the parameter.
        reason: what is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f'invalid parameter "{name}": {reason}')


@dataclass(frozen=True, slots=True)
class Params:
    """The parameters of one request."""

    form: MultiDict[str, str]
    args: MultiDict[str, str]

    def first(self, name: str) -> str:
        """Return a parameter's first value, or "" where it is missing."""
        values = self.form.getlist(name) or self.args.getlist(name)
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        """Return all values of a parameter, those of the form first."""
        return self.form.getlist(name) + self.args.getlist(name)

    def count(self, name: str, *, default: int = 0, high: int | None = None) -> int:
        """Return a whole number that is not negative.

        Raises:
            InvalidParameter: it is none, or above `high`.
        """
        text = self.first(name)
        if not text:
            return default
        # int() takes signs, blanks, underscores and other scripts' digits; a limit is none of that.
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise InvalidParameter(name, f'"{text[:64]}" is not a whole number from 0 on')
        if high is not None and int(text) > high:
            raise InvalidParameter(name, f"{text} is above {high}")
        return int(text)


def read_params() -> Params:
    """Return the parameters of this request.

    Raises:
        PayloadTooLarge: the form is longer than 2 MiB.
    """
    if request.method != "POST":
        return Params(MultiDict(), request.args)
    read_body(MAX_FORM_BYTES, keep=True)
    request.max_form_memory_size = MAX_FORM_BYTES
    return Params(request.form, request.args)
