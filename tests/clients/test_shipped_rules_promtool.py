"""Prometheus's own tool accepts the shipped rules, and they fire when they should."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support.debian import find_program
from tests.support.needs import need_programs

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


def test_shipped_rules_fire_on_trouble_and_on_nothing_else(
    repository: Path, tmp_path: Path
) -> None:
    need_programs("promtool")
    shutil.copy(repository / RULES, tmp_path)
    shutil.copy(repository / "tests/clients/shipped_rules.test.yml", tmp_path)

    done = run_promtool(tmp_path, "test", "rules", "shipped_rules.test.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
