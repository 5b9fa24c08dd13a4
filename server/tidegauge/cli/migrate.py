"""`tidegauge migrate`: bring a database's schema up to date."""

from __future__ import annotations

import click

from tidegauge.auth.accounts import FIRST_ADMIN
from tidegauge.cli.environment import read_config
from tidegauge.errors import ConfigError
from tidegauge.services.people import create_first_admin
from tidegauge.storage.migrate import apply_migrations


@click.command()
def migrate() -> None:
    """Apply the migrations that the database at DATABASE_URL lacks.

    In a database without people it makes the account `admin`, with TIDEGAUGE_ADMIN_PASSWORD or
    a password that it prints once.

    Safe to run at any time, also by several processes at once. `tidegauge up` does it by itself.
    """
    config = read_config()
    if not config.database.url:
        raise ConfigError("DATABASE_URL is not set: which database shall be migrated?")
    apply_migrations(config.database.url)
    click.echo("the database is up to date")
    password = create_first_admin(config, config.database.url)
    if password is not None:
        click.echo(f'made the account "{FIRST_ADMIN}" with the password {password} (shown once)')
