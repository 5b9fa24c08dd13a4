"""promtool and `tidegauge rules test` come to the same verdict on the same tests of rules."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from tidegauge.cli import main

from tests.support.debian import find_program
from tests.support.needs import need_programs

FOLDER = Path(__file__).parent / "rule_tests"


def read_groups() -> list[Any]:
    """Return each test group as a file of its own, with whether it is meant to pass."""
    found = []
    for name in ("good", "bad"):
        whole = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
        for number, group in enumerate(whole["tests"]):
            alone = {**whole, "tests": [group], "rule_files": [str(FOLDER / "rules.yml")]}
            title = f"{name}: {group.get('name', number)}"
            found.append(pytest.param(alone, name == "good", id=title))
    return found


def run_ours(path: Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["rules", "test", str(path)])
    return done.exit_code, done.output


def run_theirs(path: Path) -> tuple[int, str]:
    done = subprocess.run(
        [find_program("promtool"), "test", "rules", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("alone", "passes"), read_groups())
def test_both_come_to_the_same_verdict(tmp_path: Path, alone: Any, passes: bool) -> None:
    need_programs("promtool")
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(alone))

    theirs, told = run_theirs(path)
    ours, said = run_ours(path)

    assert (ours, theirs) == ((0, 0) if passes else (1, 1)), said + told
    assert ("SUCCESS" in said, "FAILED" in said) == (passes, not passes)


def test_both_check_a_file_of_many_tests(tmp_path: Path) -> None:
    need_programs("promtool")

    assert run_theirs(FOLDER / "good.yml")[0] == run_ours(FOLDER / "good.yml")[0] == 0
    assert run_theirs(FOLDER / "bad.yml")[0] == run_ours(FOLDER / "bad.yml")[0] == 1


def test_both_say_the_same_of_an_alert_that_is_not_as_expected(tmp_path: Path) -> None:
    need_programs("promtool")
    alone = read_groups()[2].values[0]
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(alone))

    def lines(text: str) -> list[str]:
        return [line.rstrip() for line in text.splitlines() if line.strip()]

    assert lines(run_ours(path)[1]) == lines(run_theirs(path)[1])
