"""The command group: commands are loaded when they are used, errors of ours end in one message."""

from __future__ import annotations

import importlib
from typing import Any

import click

from tidegauge.errors import TidegaugeError

EXIT_OURS = 2


class CommandGroup(click.Group):
    """A group whose commands live in modules that are imported only when needed.

    Args:
        places: each command's name, and where it is ("module:attribute").
    """

    def __init__(self, *args: Any, places: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = places or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order of their table."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        place = self._places.get(cmd_name)
        if place is None:
            return None
        module, attribute = place.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of our families becomes one message and exit code 2."""
        try:
            return super().invoke(ctx)
        except TidegaugeError as exc:
            click.echo(f"tidegauge: {exc.message}", err=True)
            ctx.exit(EXIT_OURS)
