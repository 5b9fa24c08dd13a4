"""`tidegauge up`: the whole product with one command, PostgreSQL included."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from tidegauge.cli.banner import render_banner
from tidegauge.cli.child import Child
from tidegauge.cli.environment import effective_environment
from tidegauge.cli.listener import open_listener, shown_address
from tidegauge.cli.signals import catch_signals
from tidegauge.cli.supervisor import Supervisor
from tidegauge.config import Config, load_config
from tidegauge.errors import ConfigError
from tidegauge.storage.embedded import EmbeddedPostgres

# The memory of a large query goes back to the system when it ends, instead of staying with the
# arena of whichever thread ran it. What the environment says of these goes first.
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(16 * 1024 * 1024),
}


@click.command()
@click.option("--data-dir", help="Where its own PostgreSQL lives.  [TIDEGAUGE_DATA_DIR]")
@click.option("--host", help="Address to listen on.  [TIDEGAUGE_HOST]")
@click.option("--port", type=int, help="Port to listen on; 0: any free one.  [TIDEGAUGE_PORT]")
@click.option("--demo", is_flag=True, help="Fill it with a small fleet, live, to look at.")
@click.pass_context
def up(
    ctx: click.Context, data_dir: str | None, host: str | None, port: int | None, demo: bool
) -> None:
    """Run everything: PostgreSQL or the one at DATABASE_URL, the API, the evaluator of alert rules,
    and workers with RABBITMQ_URL.

    Ctrl-C or SIGTERM stops it in order, and nothing that was accepted is lost.
    """
    environment = effective_environment(
        TIDEGAUGE_DATA_DIR=data_dir, TIDEGAUGE_HOST=host, TIDEGAUGE_PORT=port
    )
    config = load_config(environment)
    if config.access.loopback == "auto":
        environment["TIDEGAUGE_LOOPBACK"] = "open"
    stop = catch_signals()
    folder = Path(config.database.data_dir).absolute()
    postgres = None if config.database.url else EmbeddedPostgres(folder)
    supervisor = None
    with open_listener(config.http.host, config.http.port) as listener:
        try:
            logs = _make_log_folder(folder)
            if postgres is not None:
                click.echo(f"starting PostgreSQL in {postgres.cluster} …")
                postgres.start()
                environment["DATABASE_URL"] = postgres.url
            password = _prepare(
                config, environment["DATABASE_URL"] if postgres else config.database.url
            )
            address = shown_address(listener)
            arguments = ["serve", "--fd", str(listener.fileno())]
            api = Child(
                arguments,
                environment={**ALLOCATOR, **environment},
                log=logs / "api.log",
                keep_fds=[listener.fileno()],
            )
            supervisor = Supervisor(
                postgres=postgres,
                api=api,
                address=address,
                shutdown_s=config.http.shutdown_s,
                say=_say,
            )
            for number in range(1, (config.worker.count if config.broker.url else 0) + 1):
                supervisor.add_kept("a worker", _make_worker(environment, number, logs))
            supervisor.add_kept("the evaluator", _make_evaluator(environment, logs))
            supervisor.start_api(stop)
            if not stop.is_set():
                banner = render_banner(
                    address, logs=logs, postgres=postgres, demo=demo, password=password
                )
                click.echo(banner)
                if demo:
                    filler = ["demo", "--url", address]
                    supervisor.add(Child(filler, environment=environment, log=logs / "demo.log"))
            in_order = supervisor.watch(stop)
        finally:
            listener.close()  # Who comes now is refused at once.
            if supervisor is not None:
                click.echo("stopping: the API answers what it has begun, then PostgreSQL …")
                supervisor.stop()
            elif postgres is not None:
                postgres.stop()
    click.echo("stopped")
    ctx.exit(0 if in_order else 1)


def _make_worker(environment: Mapping[str, str], number: int, logs: Path) -> Child:
    # Several on one machine cannot share a port of their own.
    alone = {"TIDEGAUGE_WORKER_PORT": "0"} if number > 1 else {}
    return Child(
        ["worker"],
        environment={**ALLOCATOR, **environment, **alone},
        log=logs / f"worker-{number}.log",
    )


def _make_evaluator(environment: Mapping[str, str], logs: Path) -> Child:
    return Child(
        ["evaluator"], environment={**ALLOCATOR, **environment}, log=logs / "evaluator.log"
    )


def _make_log_folder(folder: Path) -> Path:
    logs = folder / "log"
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"--data-dir {folder}: {exc.strerror} (TIDEGAUGE_DATA_DIR)") from exc
    return logs


def _prepare(config: Config, database_url: str) -> str | None:
    """Bring the schema up to date; return the first admin's password where it was made up."""
    # Imported late: a fault in the settings is told at once.
    from tidegauge.services.people import create_first_admin
    from tidegauge.storage.migrate import apply_migrations

    apply_migrations(database_url)
    return create_first_admin(config, database_url)


def _say(text: str) -> None:
    click.echo(text, err=True)
