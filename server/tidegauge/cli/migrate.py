"""`tidegauge migrate`: bring a database's schema up to date."""

from __future__ import annotations

import click

from tidegauge.cli.environment import read_config
from tidegauge.errors import ConfigError
from tidegauge.storage.migrate import apply_migrations


@click.command()
def migrate() -> None:
    """Apply the migrations that the database at DATABASE_URL lacks.

    Safe to run at any time, also by several processes at once. `tidegauge up` does it by itself.
    """
    config = read_config()
    if not config.database.url:
        raise ConfigError("DATABASE_URL is not set: which database shall be migrated?")
    apply_migrations(config.database.url)
    click.echo("the database is up to date")
