"""`tidegauge version`: which version this is, and on what it runs."""

from __future__ import annotations

import platform

import click

import tidegauge


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"tidegauge {tidegauge.__version__} (Python {platform.python_version()})")
