"""The shipped rules fire when they should, says Prometheus's own tool, and so does ours."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from tidegauge.cli import main

from tests.support.debian import find_program
from tests.support.needs import need_programs

TESTS = "shipped_rules.test.yml"
RULES = "server/tidegauge/alerts/tidegauge.rules.yml"


def run_promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_program("promtool"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_promtool_accepts_the_shipped_rules(repository: Path) -> None:
    need_programs("promtool")

    done = run_promtool(repository, "check", "rules", RULES)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS: 24 rules found" in done.stdout


@pytest.fixture
def folder(repository: Path, tmp_path: Path) -> Path:
    """The rules and their tests side by side."""
    shutil.copy(repository / RULES, tmp_path)
    shutil.copy(repository / "tests/clients" / TESTS, tmp_path)
    return tmp_path


def test_shipped_rules_fire_on_trouble_and_on_nothing_else(folder: Path) -> None:
    need_programs("promtool")

    done = run_promtool(folder, "test", "rules", TESTS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_our_own_evaluation_of_them_comes_to_the_same(folder: Path) -> None:
    done = CliRunner().invoke(main, ["rules", "test", str(folder / TESTS)], catch_exceptions=False)

    assert done.exit_code == 0, done.output
    assert "SUCCESS" in done.output
