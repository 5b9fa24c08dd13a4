"""`tidegauge rules`: alert rules from Prometheus's rule files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidegauge.cli.environment import read_config
from tidegauge.config import Config
from tidegauge.errors import ConfigError
from tidegauge.model.recording import RuleGroup

if TYPE_CHECKING:
    from tidegauge.alerts.loading import Loaded

_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


@click.group()
def rules() -> None:
    """Check and load Prometheus's rule files: YAML, with alerting and recording rules."""


@rules.command()
@_FILES
def check(files: Sequence[Path]) -> None:
    """Say whether rule files could be loaded."""
    for path in files:
        groups = _read(path, ())
        alerting = sum(len(one.alerting) for one in groups)
        recording = sum(len(one.recording) for one in groups)
        click.echo(f"{path}: {alerting} alerting rules, {recording} recording rules")


@rules.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--shipped", is_flag=True, help="Say whom the rules about Tidegauge itself tell.")
@click.option("--email", "emails", multiple=True, help="Tell this address.  Repeatable.")
@click.option("--webhook", "webhooks", multiple=True, help="Tell this URL.  Repeatable.")
def load(
    files: Sequence[Path], shipped: bool, emails: Sequence[str], webhooks: Sequence[str]
) -> None:
    """Load rule files into the database at DATABASE_URL.

    The rules of a file are known by its name: loaded again, what is new is made, what is gone is
    deleted, and what has not changed goes on as if nothing had been.
    """
    config = read_config()
    if not config.database.url:
        raise ConfigError("DATABASE_URL is not set; rules are stored there")
    if bool(files) == shipped:
        raise click.UsageError("name rule files, or --shipped for those that come with Tidegauge")
    from tidegauge.alerts.loading import load_recordings, load_rules
    from tidegauge.auth.actor import COMMAND
    from tidegauge.services.commands import lend_storage

    channels: tuple[Mapping[str, object], ...] = tuple(
        {"type": kind, "target": target}
        for kind, targets in (("email", emails), ("webhook", webhooks))
        for target in targets
    )
    if shipped:
        _load_shipped(config, channels)
        return
    # All are read before any is stored.
    wanted = [(path, _read(path, channels)) for path in files]
    with lend_storage(config) as (storage, _cache, tools):
        assert storage.alerts is not None
        for path, found in wanted:
            done = load_rules(
                storage.alerts.rules,
                path.name,
                [rule for group in found for rule in group.alerting],
                COMMAND,
                clock_ms=tools.clock_ms,
            ) + load_recordings(
                storage.alerts.recordings,
                path.name,
                [rule for group in found for rule in group.recording],
                COMMAND,
            )
            _say_done(str(path), done)


def _load_shipped(config: Config, channels: tuple[Mapping[str, object], ...]) -> None:
    from tidegauge.alerts.shipped import FILE, load_shipped_rules
    from tidegauge.auth.actor import COMMAND
    from tidegauge.services.commands import lend_storage
    from tidegauge.services.shipped_rules import choose_shipped_rules

    wanted = choose_shipped_rules(config)
    with lend_storage(config) as (storage, _cache, tools):
        assert storage.alerts is not None
        done = load_shipped_rules(
            storage.alerts.rules, wanted, COMMAND, clock_ms=tools.clock_ms, channels=channels
        )
    _say_done(FILE, done)


def _say_done(file: str, done: Loaded) -> None:
    click.echo(
        f"{file}: {done.made} made, {done.changed} changed, {done.deleted} deleted, "
        f"{done.same} as before"
    )


@rules.command()
@click.option("--file", help="Only the rules that were loaded from the file of this name.")
def export(file: str | None) -> None:
    """Print the rules in the database at DATABASE_URL as a rule file, in YAML.

    The condition of rules made by the API becomes part of the expression; channels are left out.
    """
    config = read_config()
    if not config.database.url:
        raise ConfigError("DATABASE_URL is not set; rules are stored there")
    from tidegauge.alerts.rule_export import export_rules
    from tidegauge.query.parsing import QueryParser
    from tidegauge.services.commands import lend_storage

    with lend_storage(config) as (storage, _cache, _tools):
        assert storage.alerts is not None
        text = export_rules(
            [one.rule for one in storage.alerts.rules.read_all()],
            [one.rule for one in storage.alerts.recordings.read_all()],
            parser=QueryParser(max_depth=config.query.max_depth),
            file=file,
        )
    click.echo(text, nl=False)


@rules.command()
@_FILES
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what became of each test to this file as well, in JUnit's XML.",
)
def test(files: Sequence[Path], junit: Path | None) -> None:
    """Run unit tests of rules, in the files of `promtool test rules`.

    Everything is done in memory. The exit code is 1 if a test failed.
    """
    from tidegauge.alerts.rule_tests.checking import run_test_file
    from tidegauge.alerts.rule_tests.junit import write_junit
    from tidegauge.cli.promqltest import MemoryStore
    from tidegauge.query.parsing import QueryParser

    parser = QueryParser(max_depth=read_config().query.max_depth)
    outcomes = {}
    for path in files:
        click.echo(f"Unit Testing:  {path}")
        done = run_test_file(path, parser=parser, make_store=MemoryStore)
        outcomes[str(path)] = done
        for warning in done.warnings:
            click.echo(f"  WARNING: {warning}", err=True)
        if done.passed:
            click.echo("  SUCCESS")
        else:
            click.echo("  FAILED:", err=True)
            for failure in [*done.failures, *(text for one in done.tests for text in one.failures)]:
                click.echo(failure, err=True)
        click.echo()
    if junit is not None:
        junit.write_bytes(write_junit(outcomes))
    if not all(done.passed for done in outcomes.values()):
        raise click.exceptions.Exit(1)


def _read(path: Path, channels: tuple[Mapping[str, object], ...]) -> list[RuleGroup]:
    from tidegauge.alerts.rule_files import parse_rule_file
    from tidegauge.query.parsing import QueryParser

    config = read_config()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}") from exc
    return parse_rule_file(
        text,
        file=path.name,
        parser=QueryParser(max_depth=config.query.max_depth),
        interval_ms=config.alerts.interval_s * 1000,
        channels=channels,
    )
