"""`tidegauge token`: tokens of machines, from the machine that reaches the database."""

from __future__ import annotations

import click

from tidegauge.auth.accounts import LONGEST_TOKEN_DAYS, Accounts
from tidegauge.auth.actor import COMMAND
from tidegauge.auth.permissions import SCOPES
from tidegauge.cli.user import MOST, lend_accounts
from tidegauge.errors import NotFound
from tidegauge.storage.accounts_rows import TokenRow


@click.group()
@click.pass_context
def token(ctx: click.Context) -> None:
    """Manage API tokens in the database at DATABASE_URL."""
    ctx.obj = lend_accounts(ctx)


@token.command("list")
@click.pass_obj
def list_tokens(accounts: Accounts) -> None:
    """List tokens, without their secrets."""
    after = 0
    while rows := accounts.list_tokens(after=after, limit=MOST):
        for row in rows:
            click.echo(_line(row))
        after = rows[-1].id


@token.command()
@click.argument("name")
@click.option("--user", "user_name", default="admin", show_default=True, help="Acts for them.")
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="Repeatable."
)
@click.option("--days", type=click.IntRange(1, LONGEST_TOKEN_DAYS), help="How long; else for good.")
@click.pass_obj
def create(
    accounts: Accounts, name: str, user_name: str, scopes: tuple[str, ...], days: int | None
) -> None:
    """Make a token and print it; it is shown this once."""
    owner = accounts.find_user(user_name)
    if owner is None:
        raise NotFound(f'there is no user "{user_name}"')
    click.echo(accounts.create_token(name, owner.id, scopes, days, COMMAND).secret)


@token.command()
@click.argument("token_id", type=int)
@click.pass_obj
def revoke(accounts: Accounts, token_id: int) -> None:
    """End a token for good."""
    accounts.revoke_token(token_id, COMMAND)
    click.echo(f"revoked {token_id}")


def _line(row: TokenRow) -> str:
    if row.revoked_at is not None:
        state = "revoked"
    elif row.expires_at is not None:
        state = f"until {row.expires_at.date().isoformat()}"
    else:
        state = "for good"
    scopes = ",".join(row.scopes)
    return f"{row.id:>5}  {row.prefix}…  {state:<16} {scopes:<24} {row.name} ({row.user_name})"
