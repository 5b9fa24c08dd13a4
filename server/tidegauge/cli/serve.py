"""`tidegauge serve`: the API alone, on gunicorn; `up` starts it too."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from tidegauge.cli.environment import export_to_children, read_config
from tidegauge.cli.http_server import HttpServer
from tidegauge.cli.listener import open_listener
from tidegauge.errors import ConfigError
from tidegauge.observability.logs import make_logger


@click.command()
@click.option("--host", help="Address to listen on.  [TIDEGAUGE_HOST]")
@click.option("--port", type=int, help="Port to listen on; 0: any free one.  [TIDEGAUGE_PORT]")
@click.option("--fd", type=int, hidden=True, help="An inherited socket that listens already.")
def serve(host: str | None, port: int | None, fd: int | None) -> None:
    """Serve the API on the database at DATABASE_URL, which `tidegauge migrate` has prepared.

    Logs are JSON lines on standard error. SIGTERM stops it in order: running requests are
    answered, accepted samples are written.
    """
    config = read_config(TIDEGAUGE_HOST=host, TIDEGAUGE_PORT=port)
    if not config.database.url:
        raise ConfigError("DATABASE_URL is not set; `tidegauge up` brings a database of its own")
    listener_fd = fd
    if listener_fd is None:
        listener_fd = open_listener(config.http.host, config.http.port).detach()
    log = make_logger(
        sys.stderr.buffer,
        level=config.log.level,
        service="api",
        clock_ms=lambda: time.time_ns() // 1_000_000,
    )
    meters_folder = None
    if config.http.workers > 1:
        meters_folder = Path(tempfile.mkdtemp(prefix="tidegauge-meters-"))
        export_to_children("PROMETHEUS_MULTIPROC_DIR", str(meters_folder))
    try:
        HttpServer(config, listener_fd=listener_fd, log=log, meters_folder=meters_folder).run()
    finally:
        if meters_folder is not None:
            shutil.rmtree(meters_folder, ignore_errors=True)
