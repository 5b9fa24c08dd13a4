"""`tidegauge evaluator`: evaluates alert rules and tells people."""

from __future__ import annotations

import click

from tidegauge.cli.environment import read_config
from tidegauge.cli.signals import catch_signals


@click.command()
@click.option(
    "--port", type=int, help="Port for its own /health and /metrics.  [TIDEGAUGE_EVALUATOR_PORT]"
)
def evaluator(port: int | None) -> None:
    """Evaluate the alert rules in the database at DATABASE_URL, and tell people what changed.

    Of several that run one evaluates; another takes over within one interval when it dies or
    hangs, and at once when it is stopped in order. Logs are JSON lines on standard error. SIGTERM
    stops it.
    """
    config = read_config(TIDEGAUGE_EVALUATOR_PORT=port)
    stop = catch_signals()
    # Imported late: a fault in the settings is told at once.
    from tidegauge.services import build_evaluator

    services = build_evaluator(config)
    try:
        stop.wait()
    finally:
        services.close()
