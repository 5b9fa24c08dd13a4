"""`tidegauge commands`: the reference page of all commands, made from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

_HEAD = """\
# Commands

`tidegauge COMMAND --help` shows the same on the terminal. Where an option names a setting in
brackets, the option goes over that environment variable. A fault in what was asked (settings, a
port in use, a data directory in use, a database that is away) prints one message and ends with
exit code 2.

This page is made by `tidegauge commands`."""


@click.command()
@click.pass_context
def commands(ctx: click.Context) -> None:
    """Print the reference page of all commands, in Markdown."""
    group = ctx.find_root().command
    assert isinstance(group, click.Group)
    click.echo("\n".join([_HEAD, *_describe(group, ctx, "tidegauge")]))


def _describe(group: click.Group, ctx: click.Context, path: str) -> Iterator[str]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is None or command.hidden:
            continue
        yield f"\n## {path} {name}\n"
        yield "\n".join(line.strip() for line in (command.help or "").strip().splitlines())
        if isinstance(command, click.Group):
            yield from _describe(command, ctx, f"{path} {name}")
            continue
        rows = [
            record
            for parameter in command.get_params(click.Context(command, parent=ctx))
            if isinstance(parameter, click.Option)
            and (record := parameter.get_help_record(ctx)) is not None
        ]
        arguments = [
            parameter.make_metavar(ctx)
            for parameter in command.params
            if isinstance(parameter, click.Argument)
        ]
        if arguments:
            yield f"\nArguments: {', '.join(f'`{argument}`' for argument in arguments)}"
        yield "\n| option | meaning |\n|---|---|"
        for names, meaning in rows:
            yield f"| `{names}` | {' '.join(meaning.split())} |"
