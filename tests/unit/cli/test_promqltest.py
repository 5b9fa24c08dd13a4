from __future__ import annotations

import pytest
from click.testing import CliRunner
from tidegauge.cli.promqltest import promqltest

LOAD = "load 1m\n  x 1 2 3\n\n"


@pytest.fixture
def script(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(LOAD + text)
        return str(path)

    return write


def test_passing_scripts_end_with_the_count_and_zero(script):
    one = script("one.test", "eval instant at 2m x\n  x 3\n")
    two = script("two.test", "eval instant at 1m x\n  x 2\n\neval instant at 0 -x\n  {} -1\n")

    done = CliRunner().invoke(promqltest, [one, two])

    assert done.output.splitlines() == [
        f"{one}: 1 passed, 0 failed",
        f"{two}: 2 passed, 0 failed",
        "3 passed, 0 failed",
    ]
    assert done.exit_code == 0


def test_failures_have_their_line_and_exit_one(script):
    path = script("bad.test", "eval instant at 2m x\n  x 4\n\neval instant at 2m x\n  x 3\n")

    done = CliRunner().invoke(promqltest, [path])

    lines = done.output.splitlines()
    assert lines[0] == f"{path}:4: x"
    assert "expected 4, got 3" in lines[1]
    assert lines[2:] == [f"{path}: 1 passed, 1 failed", "1 passed, 1 failed"]
    assert done.exit_code == 1


def test_verbose_shows_what_passes(script):
    path = script("good.test", "eval instant at 2m x\n  x 3\n")

    done = CliRunner().invoke(promqltest, ["--verbose", path])

    assert done.output.splitlines()[:2] == [f"{path}:4: x", "    passed"]


def test_help_says_what_is_run_again():
    done = CliRunner().invoke(promqltest, ["--help"])

    assert "range query" in done.output
    assert "@" in done.output


def test_a_missing_file_is_an_error():
    done = CliRunner().invoke(promqltest, ["nowhere.test"])

    assert done.exit_code == 2
