"""`tidegauge config`: the settings in force, or their reference page."""

from __future__ import annotations

import click

from tidegauge.cli.environment import read_config
from tidegauge.cli.settings_page import describe_settings
from tidegauge.config import show_settings


@click.command()
@click.option("--markdown", is_flag=True, help="Print the reference page of all settings instead.")
def config(markdown: bool) -> None:
    """Print the settings in force, secrets masked."""
    if markdown:
        click.echo(describe_settings(), nl=False)
        return
    for line in show_settings(read_config()):
        click.echo(line)
