"""Fields that take what JSON says, and nothing that merely looks like it."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate


class Text(fields.String):
    """A string of so many characters at most, without NUL, which PostgreSQL cannot store.

    Args:
        most: characters.
        least: characters, blanks at both ends not counted.
    """

    def __init__(self, *, most: int, least: int = 0, **kwargs: Any) -> None:
        self.most, self.least = most, least
        # The length stands in the schema as well, for whoever documents it.
        super().__init__(validate=validate.Length(min=least or None, max=most), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        found = super()._deserialize(value, attr, data, **kwargs)
        if "\0" in found:
            raise ValidationError("a NUL character cannot be stored")
        if self.least and not found.strip():
            raise ValidationError("empty")
        return found


class Flag(fields.Boolean):
    """True or false; no text, no number."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Whole(fields.Integer):
    """A whole number within bounds.

    Args:
        low, high: the bounds, inclusive.
    """

    def __init__(self, *, low: int, high: int, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(min=low, max=high), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        # To marshmallow, "3" and true are numbers.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class Number(fields.Float):
    """A finite number; it stays a whole one if it came as one."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid", input=value)
        super()._deserialize(value, attr, data, **kwargs)
        return value
