"""`tidegauge worker`: moves messages from RabbitMQ into the database."""

from __future__ import annotations

import click

from tidegauge.cli.environment import read_config
from tidegauge.cli.signals import catch_signals


@click.command()
@click.option(
    "--port", type=int, help="Port for its own /health and /metrics.  [TIDEGAUGE_WORKER_PORT]"
)
def worker(port: int | None) -> None:
    """Write what RabbitMQ at RABBITMQ_URL holds into the database at DATABASE_URL.

    As many may run as there is work for. Logs are JSON lines on standard error. SIGTERM stops it
    in order: the batch at hand is finished, what was only fetched goes back to the queue.
    """
    config = read_config(TIDEGAUGE_WORKER_PORT=port)
    stop = catch_signals()
    # Imported late: a fault in the settings is told at once.
    from tidegauge.services import build_worker

    services = build_worker(config)
    try:
        stop.wait()
    finally:
        services.close()
