"""The command line `tidegauge`: one thin file per command, nobody imports it.

- `group`: the command group; `environment`: the one place that reads the environment.
- `up`: everything under one `supervisor`; `serve`: the API alone, on gunicorn; `worker`: from
  RabbitMQ into the database; `dlq`: what could not be stored; `evaluator`: of alert
  rules; `rules`: from files.
- `dashboards`: in files and in the database.
- `user`, `token`: people's accounts, and the tokens of machines.
- `migrate`, `config`, `commands`, `version`, `demo`, `promqltest`: as their names say.
- Behind them `signals`, `child`, `listener`, `http_server`, `banner`, `settings_page`,
  `remote_write`, `demo_fleet`, `demo_earlier`, `restarts`.
"""

from __future__ import annotations

import click

import tidegauge
from tidegauge.cli.group import CommandGroup

COMMANDS = {
    "up": "tidegauge.cli.up:up",
    "serve": "tidegauge.cli.serve:serve",
    "worker": "tidegauge.cli.worker:worker",
    "evaluator": "tidegauge.cli.evaluator:evaluator",
    "rules": "tidegauge.cli.rules:rules",
    "dlq": "tidegauge.cli.dlq:dlq",
    "user": "tidegauge.cli.user:user",
    "token": "tidegauge.cli.token:token",
    "dashboards": "tidegauge.cli.dashboards:dashboards",
    "migrate": "tidegauge.cli.migrate:migrate",
    "config": "tidegauge.cli.config:config",
    "commands": "tidegauge.cli.commands:commands",
    "demo": "tidegauge.cli.demo:demo",
    "promqltest": "tidegauge.cli.promqltest:promqltest",
    "version": "tidegauge.cli.version:version",
}


@click.group(
    cls=CommandGroup, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(tidegauge.__version__, prog_name="tidegauge")
def main() -> None:
    """Metrics, dashboards and alerts in the PostgreSQL its users already run.

    Settings come from environment variables; `tidegauge config` lists them.
    """
