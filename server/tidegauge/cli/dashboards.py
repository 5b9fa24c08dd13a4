"""`tidegauge dashboards`: dashboards in files, and those in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import orjson

from tidegauge.auth.actor import COMMAND
from tidegauge.auth.permissions import ROLE_PERMISSIONS
from tidegauge.auth.principal import LOCAL, Principal
from tidegauge.cli.environment import read_config
from tidegauge.dashboards.access import Sender
from tidegauge.dashboards.files import (
    FileCheck,
    check_file,
    file_name,
    find_files,
    folder_path,
    read_file,
    write_file,
)
from tidegauge.dashboards.grafana_diff import Change, diff_dashboards
from tidegauge.dashboards.grafana_import import input_names, resolve
from tidegauge.errors import ConfigError, NotFound, TidegaugeError
from tidegauge.query.parsing import QueryParser
from tidegauge.services.dashboards import DashboardServices, open_dashboards
from tidegauge.storage.dashboard_rows import DashboardFilter, DashboardRow
from tidegauge.storage.users import Users

PAGE_ROWS = 500
_SHOWN_CHARS = 60

_WHERE = click.argument("place", type=click.Path(path_type=Path))


@click.group()
def dashboards() -> None:
    """Check, compare, import and export dashboards as Grafana writes them."""


@dashboards.command()
@_WHERE
@click.option("--verbose", is_flag=True, help="Tell every difference and every faulty query.")
@click.pass_context
def check(ctx: click.Context, place: Path, verbose: bool) -> None:
    """Take in every dashboard below a folder, give it out again, and tell what differs.

    Needs no database. Ends with exit code 1 when a file cannot be taken in, comes out otherwise
    than it went in, or has a query that does not parse.
    """
    config = read_config()
    parser = QueryParser(max_depth=config.query.max_depth)
    counts: dict[str, Counter[str]] = {}
    for path in find_files(place):
        found = check_file(path, parser, datasource_uid=config.dashboards.datasource_uid)
        group = path.relative_to(place).parts[0] if path.parent != place and path != place else ""
        counts.setdefault(group or place.name, Counter()).update(_count(found))
        for line in _tell(found, verbose=verbose):
            click.echo(line, err=True)
    total: Counter[str] = sum(counts.values(), Counter())
    rows = [(name, count) for name, count in sorted(counts.items())] + [("in all", total)]
    width = max(len(name) for name, _ in rows)
    head = ("dashboards", "panels", "queries", "refused", "changed", "faulty")
    click.echo("  ".join([" " * width, *(f"{name:>10}" for name in head)]))
    for name, count in rows:
        click.echo("  ".join([name.ljust(width), *(f"{count[key]:>10}" for key in head)]))
    ctx.exit(1 if total["refused"] or total["changed"] or total["faulty"] else 0)


@dashboards.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path), required=False)
@click.pass_context
def diff(ctx: click.Context, file: Path, other: Path | None) -> None:
    """Compare two files, or a file with the dashboard of the same uid in the database.

    Noise is left out: order, ids, versions, what Grafana fills in. Exit code 1: they differ.
    """
    old = _resolved(file)
    if other is not None:
        new = _resolved(other)
    else:
        with _lend() as (held, _):
            row = _find(held, str(old.get("uid", "")))
            new = held.dashboards.read(_sender(None), row.id).document
    changes = diff_dashboards(old, new)
    for change in changes:
        click.echo(_line(change))
    ctx.exit(1 if changes else 0)


@dashboards.command("import")
@_WHERE
@click.option("--owner", help="Whose they become; without, admins alone may change them.")
@click.option("--public", is_flag=True, help="Everybody who is signed in sees them.")
@click.option("--folder", help="Uid of the folder they go into.")
@click.option("--overwrite", is_flag=True, help="Replace those of the same uid.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="Value of an input.")
@click.pass_context
def import_files(
    ctx: click.Context,
    place: Path,
    owner: str | None,
    public: bool,
    folder: str | None,
    overwrite: bool,
    inputs: tuple[str, ...],
) -> None:
    """Take a file, or all JSON files below a folder, into the database at DATABASE_URL."""
    given = dict(_split(one) for one in inputs)
    fields = {"public": public, "folder": folder, "message": "imported from a file"}
    failed = False
    with _lend() as (held, users):
        sender = _sender(None if owner is None else _find_user(users, owner))
        for path in find_files(place):
            try:
                sent = read_file(path)
                # What one file of many asks for, the others need not know.
                asked = given.keys() & input_names(sent) if place.is_dir() else given.keys()
                taken = held.dashboards.take(
                    sender,
                    sent,
                    inputs={name: given[name] for name in asked},
                    fields=fields,
                    overwrite=overwrite,
                )
            except TidegaugeError as exc:
                failed = True
                click.echo(f"{path}: {exc.message}", err=True)
                continue
            row = taken.dashboard.row
            click.echo(f"{row.id:>5}  version {row.version}  {row.title}")
            for warning in taken.warnings:
                click.echo(f"       {warning}", err=True)
    ctx.exit(1 if failed else 0)


@dashboards.command("export")
@_WHERE
@click.option("--private", is_flag=True, help="Also those that are not public.")
def export_files(place: Path, private: bool) -> None:
    """Write the dashboards as a folder that Grafana's file provider reads.

    Folders become folders (foldersFromFilesStructure). Files of dashboards that are gone stay.
    """
    written = 0
    with _lend() as (held, _):
        folders = {row.uid: (row.title, row.parent) for row in held.folders.read_all()}
        for row in _all_rows(held):
            if not row.is_public and not private:
                continue
            document = held.dashboards.read(_sender(None), row.id).document
            write_file(place / folder_path(row.folder, folders) / file_name(document), document)
            written += 1
    click.echo(f"written: {written}")


@contextmanager
def _lend() -> Iterator[tuple[DashboardServices, Users]]:
    config = read_config()
    if not config.database.url:
        raise ConfigError("DATABASE_URL is not set: which database is meant?")
    with open_dashboards(config) as lent:
        yield lent


def _find_user(users: Users, name: str) -> int:
    found = users.find_named(name)
    if found is None:
        raise NotFound(f'there is no user "{name}"')
    return found.id


def _sender(user_id: int | None) -> Sender:
    principal = Principal(
        kind=LOCAL.kind,
        key=COMMAND.key,
        name=COMMAND.name,
        user_id=user_id,
        role="admin",
        permissions=ROLE_PERMISSIONS["admin"],
    )
    return Sender(principal, COMMAND)


def _find(held: DashboardServices, uid: str) -> DashboardRow:
    rows = held.dashboards.search(_sender(None), DashboardFilter(uid=uid, limit=1)) if uid else []
    if not rows:
        raise NotFound(f'there is no dashboard with the uid "{uid}"')
    return rows[0]


def _all_rows(held: DashboardServices) -> Iterator[DashboardRow]:
    after: tuple[str, int] | None = None
    while True:
        rows = held.dashboards.search(_sender(None), DashboardFilter(after=after, limit=PAGE_ROWS))
        yield from rows
        if len(rows) < PAGE_ROWS:
            return
        after = (rows[-1].title.lower(), rows[-1].id)


def _resolved(path: Path) -> dict[str, object]:
    uid = read_config().dashboards.datasource_uid
    return resolve(read_file(path), inputs={}, datasource_uid=uid).document


def _split(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise click.UsageError(f"--input {given}: NAME=VALUE is wanted")
    return name, value


def _count(found: FileCheck) -> dict[str, int]:
    return {
        "dashboards": 1,
        "panels": found.panels,
        "queries": found.queries,
        "refused": bool(found.fault),
        "changed": bool(found.changes),
        "faulty": len(found.query_faults),
    }


def _tell(found: FileCheck, *, verbose: bool) -> Iterator[str]:
    if found.fault:
        yield f"{found.path}: {found.fault}"
    if not verbose:
        return
    for change in found.changes:
        yield f"{found.path}: {_line(change)}"
    for fault in found.query_faults:
        yield f"{found.path}: {fault.query.path}: {fault.reason}"


def _line(change: Change) -> str:
    old, new = (
        "nothing" if side is None else orjson.dumps(side).decode()[:_SHOWN_CHARS]
        for side in (change.old, change.new)
    )
    return f"{change.path}: {old} -> {new}"
