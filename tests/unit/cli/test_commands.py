"""The command group: help, settings, and faults of ours as one message."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tidegauge
from click.testing import CliRunner, Result
from tidegauge.cli import COMMANDS, main

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Run a command in an environment without settings, but those given."""
    none = {name: None for name in os.environ if name.startswith(("TIDEGAUGE_", "DATABASE_"))}

    def run_command(*arguments: str, **env: str) -> Result:
        return CliRunner().invoke(main, arguments, env={**none, **env})

    return run_command


def test_help_lists_every_command(run: Run) -> None:
    result = run("--help")

    assert result.exit_code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in result.output] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run: Run, name: str) -> None:
    result = run(name, "--help")

    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_unknown_command_is_refused(run: Run) -> None:
    assert run("upp").exit_code == 2


def test_version_is_printed(run: Run) -> None:
    assert run("version").output.startswith(f"tidegauge {tidegauge.__version__} (Python 3.")


def test_config_masks_the_password(run: Run) -> None:
    result = run("config", DATABASE_URL="postgresql://me:hidden@db/x")

    assert "DATABASE_URL=postgresql://me:********@db/x" in result.output
    assert "hidden" not in result.output


def test_faults_of_settings_end_in_one_message_and_exit_code_2(run: Run) -> None:
    result = run("config", TIDEGAUGE_PORT="x", TIDEGAUGE_NONE="1")

    assert result.exit_code == 2
    assert result.stderr == (
        "tidegauge: settings are wrong:\n"
        "  TIDEGAUGE_PORT='x': a whole number is wanted\n"
        "  TIDEGAUGE_NONE: there is no such setting\n"
    )


@pytest.mark.parametrize("command", ["up", "serve", "worker"])
def test_a_fault_of_access_is_told_before_anything_is_started(
    run: Run, tmp_path: Path, command: str
) -> None:
    data = tmp_path / "data"

    result = run(
        command,
        TIDEGAUGE_DATA_DIR=str(data),
        TIDEGAUGE_ACCESS_TOKEN="short",
        TIDEGAUGE_TRUSTED_PROXIES="nonsense",
    )

    assert result.exit_code == 2
    assert "TIDEGAUGE_ACCESS_TOKEN: it has 5 characters" in result.stderr
    assert "TIDEGAUGE_TRUSTED_PROXIES: 'nonsense'" in result.stderr
    assert result.stdout == ""
    assert not data.exists()


@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_commands_that_need_a_database_say_so(run: Run, command: str) -> None:
    result = run(command)

    assert result.exit_code == 2
    assert "DATABASE_URL is not set" in result.stderr


def test_migrate_prepares_a_database_and_may_be_repeated(run: Run, database_url: str) -> None:
    first = run("migrate", DATABASE_URL=database_url)
    second = run("migrate", DATABASE_URL=database_url)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert second.output == "the database is up to date\n"


def test_migrate_names_a_database_that_is_away(run: Run, free_port: int) -> None:
    url = f"postgresql://me:hidden@127.0.0.1:{free_port}/none"

    result = run("migrate", DATABASE_URL=url)

    assert result.exit_code == 2
    assert str(free_port) in result.stderr
    assert "hidden" not in result.stderr


def test_module_runs_as_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidegauge", "--version"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert done.stdout == f"tidegauge, version {tidegauge.__version__}\n"
