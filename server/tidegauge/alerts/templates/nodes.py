"""The syntax tree of a template. `str` of a node is what messages show of it, as Go writes it.

A position is that of a character in the whole text.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: text, number, boolean, nil."""

    position: int
    value: str | int | float | bool | None
    source: str

    def __str__(self) -> str:
        return self.source


@dataclass(frozen=True, slots=True)
class Dot:
    """The data at hand."""

    position: int

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, and the fields that are taken of it."""

    position: int
    name: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.fields))


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of something: of the dot, where there is no base."""

    position: int
    base: Pipeline | None
    fields: tuple[str, ...]

    def __str__(self) -> str:
        base = "" if self.base is None else f"({self.base})"
        return base + "".join(f".{name}" for name in self.fields)


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function."""

    position: int
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Command:
    """An operand, or a function with its arguments."""

    position: int
    operands: tuple[Operand, ...]

    def __str__(self) -> str:
        return " ".join(
            f"({one})" if isinstance(one, Pipeline) else str(one) for one in self.operands
        )


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, the result of each the last argument of the next; perhaps given to variables."""

    position: int
    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False

    def __str__(self) -> str:
        sign = " = " if self.assigns else " := "
        given = ", ".join(self.variables) + sign if self.variables else ""
        return given + " | ".join(map(str, self.commands))


Operand = Literal | Dot | Variable | Fields | Function | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    """What stands between actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose result is written, unless it is given to a variable."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`."""

    kind: str
    pipeline: Pipeline
    body: Block
    otherwise: Block


@dataclass(frozen=True, slots=True)
class Leave:
    """`break` or `continue`."""

    kind: str


@dataclass(frozen=True, slots=True)
class Call:
    """`template "name" pipeline`."""

    position: int
    name: str
    argument: Pipeline | None


Block = tuple[Text | Action | Branch | Leave | Call, ...]
