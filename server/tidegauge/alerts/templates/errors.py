"""What is wrong with a template, in the words of Go and Prometheus."""

from __future__ import annotations

from tidegauge.errors import InvalidInput


class TemplateError(InvalidInput):
    """A template cannot be parsed, or not be expanded with what it was given."""

    code = "template"


class BadCall(Exception):
    """A function does not take these arguments; the interpreter says where that was."""
