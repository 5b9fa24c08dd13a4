"""`tidegauge user`: people's accounts, from the machine that reaches the database."""

from __future__ import annotations

import sys

import click

from tidegauge.auth.accounts import Accounts
from tidegauge.auth.actor import COMMAND
from tidegauge.auth.passwords import make_password
from tidegauge.auth.permissions import ROLES
from tidegauge.cli.environment import read_config
from tidegauge.errors import ConfigError, NotFound
from tidegauge.storage.accounts_rows import UserRow

MOST = 1000


@click.group()
@click.pass_context
def user(ctx: click.Context) -> None:
    """Manage people's accounts in the database at DATABASE_URL."""
    ctx.obj = lend_accounts(ctx)


@user.command("list")
@click.pass_obj
def list_users(accounts: Accounts) -> None:
    """List accounts."""
    after = 0
    while rows := accounts.list_users(after=after, limit=MOST):
        for row in rows:
            disabled = "  disabled" if row.disabled else ""
            click.echo(f"{row.id:>5}  {row.role:<7} {row.name}{disabled}")
        after = rows[-1].id


@user.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="Role.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_obj
def create(accounts: Accounts, name: str, role: str, password_stdin: bool) -> None:
    """Make an account; without --password-stdin its password is random and printed once."""
    password = _choose_password(from_stdin=password_stdin)
    row = accounts.create_user(name, password, role, COMMAND)
    click.echo(f'made "{row.name}", {row.role}' + _tell(password, given=password_stdin))


@user.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.pass_obj
def password(accounts: Accounts, name: str, password_stdin: bool) -> None:
    """Give an account another password; its sessions and tokens end."""
    chosen = _choose_password(from_stdin=password_stdin)
    accounts.change_user(_find(accounts, name).id, COMMAND, password=chosen)
    click.echo(f'"{name}" has a new password' + _tell(chosen, given=password_stdin))


@user.command()
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@click.pass_obj
def role(accounts: Accounts, name: str, role: str) -> None:
    """Give an account another role; its sessions and tokens end."""
    accounts.change_user(_find(accounts, name).id, COMMAND, role=role)
    click.echo(f'"{name}" is {role} now')


@user.command()
@click.argument("name")
@click.pass_obj
def delete(accounts: Accounts, name: str) -> None:
    """Delete an account with its sessions and tokens."""
    accounts.delete_user(_find(accounts, name).id, COMMAND)
    click.echo(f'deleted "{name}"')


def lend_accounts(ctx: click.Context) -> Accounts:
    """Return the accounts in the database of the settings, closed when the command ends.

    Raises:
        ConfigError: DATABASE_URL is not set.
    """
    from tidegauge.services.people import open_people

    config = read_config()
    if not config.database.url:
        raise ConfigError(
            "DATABASE_URL is not set; `tidegauge up` prints the address of its own database"
        )
    return ctx.with_resource(open_people(config)).accounts


def _find(accounts: Accounts, name: str) -> UserRow:
    found = accounts.find_user(name)
    if found is None:
        raise NotFound(f'there is no user "{name}"')
    return found


def _choose_password(*, from_stdin: bool) -> str:
    if not from_stdin:
        return make_password()
    return sys.stdin.readline().rstrip("\r\n")


def _tell(password: str, *, given: bool) -> str:
    return "" if given else f"; password {password} (shown once)"
