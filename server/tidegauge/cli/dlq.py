"""`tidegauge dlq`: what could not be stored: look at it, send it again, throw it away."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import orjson

from tidegauge.auth.actor import COMMAND
from tidegauge.broker.protocol import DeadLetter, DeadLetters
from tidegauge.cli.environment import read_config
from tidegauge.errors import ConfigError, NotFound
from tidegauge.ingest.dead_letters import describe, parse_message_id, summarise, tell_choice

MOST = 10_000


@click.group()
@click.pass_context
def dlq(ctx: click.Context) -> None:
    """Handle dead letters: messages that could not be stored, in RabbitMQ at RABBITMQ_URL.

    Without RabbitMQ they are in the memory of the API: `GET /api/v1/admin/dead-letters`. What is
    sent again or thrown away is in the log of changes of the database at DATABASE_URL, if it is
    set.
    """
    config = read_config()
    if not config.broker.url:
        raise ConfigError(
            "RABBITMQ_URL is not set; the dead letters of the queue inside the API are at "
            "/api/v1/admin/dead-letters"
        )
    from tidegauge.services.queue import open_dead_letters

    ctx.obj = open_dead_letters(config)


@dlq.command("list")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, MOST), help="Most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_letters(letters: DeadLetters, limit: int, as_json: bool) -> None:
    """List the oldest dead letters with their reasons."""
    found = letters.read_oldest(limit=limit)
    if as_json:
        for letter in found:
            click.echo(orjson.dumps(summarise(letter)))
        return
    for letter in found:
        click.echo(_line(letter))
    click.echo(f"{len(found)} of {letters.count()} dead letters", err=True)


@dlq.command()
@click.argument("message_id")
@click.pass_obj
def show(letters: DeadLetters, message_id: str) -> None:
    """Show one dead letter: its reason, and what is in it."""
    letter = letters.find(parse_message_id(message_id))
    if letter is None:
        raise NotFound(f"there is no dead letter {message_id}")
    click.echo(orjson.dumps(describe(letter), option=orjson.OPT_INDENT_2))


@dlq.command()
@click.argument("message_ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All there are now.")
@click.pass_obj
def replay(letters: DeadLetters, message_ids: tuple[str, ...], every: bool) -> None:
    """Send dead letters again; one that was stored after all counts once all the same."""
    ids = _chosen(message_ids, every=every)
    _record("dead-letters.replay", ids)
    count = letters.replay(ids)
    click.echo(f"sent again: {count}")


@dlq.command()
@click.argument("message_ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All there are now.")
@click.pass_obj
def purge(letters: DeadLetters, message_ids: tuple[str, ...], every: bool) -> None:
    """Throw dead letters away for good."""
    ids = _chosen(message_ids, every=every)
    _record("dead-letters.purge", ids)
    count = letters.purge(ids)
    click.echo(f"thrown away: {count}")


def _chosen(message_ids: tuple[str, ...], *, every: bool) -> list[bytes] | None:
    if every == bool(message_ids):
        raise click.UsageError("name message ids, or --all")
    return None if every else [parse_message_id(text) for text in message_ids]


def _record(action: str, ids: list[bytes] | None) -> None:
    """Write down what is to be done, before it is: afterwards nobody could tell what it was."""
    config = read_config()
    if not config.database.url:
        return
    from tidegauge.services.people import open_people

    with open_people(config) as people:
        people.audit.write(COMMAND.entry(action, details=tell_choice(ids)))


def _line(letter: DeadLetter) -> str:
    died = datetime.fromtimestamp(letter.died_ms / 1000, UTC).isoformat(timespec="seconds")
    message = letter.message
    return f"{message.id.hex()}  {died}  {message.count:>7} samples  {letter.reason}"
