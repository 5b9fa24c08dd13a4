"""The command line `tidegauge`: one thin file per command, nobody imports it."""

from __future__ import annotations

import click

import tidegauge


@click.group()
@click.version_option(tidegauge.__version__, prog_name="tidegauge")
def main() -> None:
    """Metrics, dashboards and alerts in the PostgreSQL its users already run."""
