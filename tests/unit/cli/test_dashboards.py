"""`tidegauge dashboards`, on files and on a real database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tidegauge.auth.actor import SYSTEM
from tidegauge.cli import main
from tidegauge.config import Config, DatabaseConfig
from tidegauge.services.people import open_people

from tests.unit.dashboards.examples import SHARED, dashboard, panel

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on files."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return lambda *words: CliRunner().invoke(main, ["dashboards", *map(str, words)])


@pytest.fixture
def run_on_database(run: Run, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on files and a database."""
    monkeypatch.setenv("DATABASE_URL", migrated_database_url)
    return run


def save(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_check_counts_by_folder_and_ends_well_when_all_is_well(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a/one.json", SHARED)
    save(tmp_path / "b/two.json", dashboard(panel(1, "up")))

    result = run("check", tmp_path)

    assert result.exit_code == 0, result.output
    table = [line.split() for line in result.stdout.splitlines()]
    assert table[1:] == [
        ["a", "1", "3", "2", "0", "0", "0"],
        ["b", "1", "1", "1", "0", "0", "0"],
        ["in", "all", "2", "4", "3", "0", "0", "0"],
    ]


def test_check_ends_badly_and_says_why(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "bad.json", dashboard(panel(1, "sum(")))
    save(tmp_path / "none.json", {"panels": []})

    result = run("check", tmp_path, "--verbose")

    assert result.exit_code == 1
    assert "panels[0].targets[0].expr" in result.stderr
    assert "needs a title" in result.stderr


def test_diff_of_two_files_tells_path_old_and_new(run: Run, tmp_path: Path) -> None:
    one = save(tmp_path / "one.json", dashboard(panel(1, "a"), id=1))
    same = save(tmp_path / "same.json", dashboard(panel(1, "a"), id=2, version=7))
    other = save(tmp_path / "other.json", dashboard(panel(1, "b")))

    assert (run("diff", one, same).exit_code, run("diff", one, same).output) == (0, "")
    result = run("diff", one, other)
    assert (result.exit_code, result.output) == (1, 'panels[1].targets[A].expr: "a" -> "b"\n')


def test_without_a_database_what_needs_one_says_so(run: Run, tmp_path: Path) -> None:
    result = run("import", save(tmp_path / "a.json", dashboard()))

    assert (result.exit_code, result.stderr) == (
        2,
        "tidegauge: DATABASE_URL is not set: which database is meant?\n",
    )


def test_what_is_imported_is_exported_and_differs_in_nothing(
    run_on_database: Run, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    save(given / "one.json", SHARED)
    save(given / "two.json", dashboard(panel(1, "up"), uid="two", title="Two / more"))

    imported = run_on_database("import", given, "--public", "--input", "DS_LOGS=logs")
    assert (imported.exit_code, imported.stderr) == (0, "")

    assert run_on_database("diff", given / "two.json").output == ""
    every = run_on_database("export", tmp_path / "all")
    assert every.output == "written: 2\n"
    names = sorted(path.name for path in (tmp_path / "all").rglob("*"))
    assert names == ["Shared-shared.json", "Two-more-two.json"]
    assert run_on_database("diff", given / "two.json", tmp_path / "all" / names[1]).output == ""
    assert run_on_database("check", tmp_path / "all").exit_code == 0


def test_what_is_private_is_exported_only_when_asked_for(
    run_on_database: Run, tmp_path: Path
) -> None:
    run_on_database("import", save(tmp_path / "a.json", dashboard()))

    public = run_on_database("export", tmp_path / "public")
    every = run_on_database("export", tmp_path / "all", "--private")

    assert (public.output, every.output) == ("written: 0\n", "written: 1\n")


def test_a_second_import_needs_to_be_told_to_overwrite(
    run_on_database: Run, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.json", dashboard(uid="a"))

    assert run_on_database("import", path).exit_code == 0
    again = run_on_database("import", path)
    assert (again.exit_code, "overwrite" in again.stderr) == (1, True)
    assert "version 2" in run_on_database("import", path, "--overwrite").stdout


def test_an_input_that_a_single_file_does_not_have_is_refused(
    run_on_database: Run, tmp_path: Path
) -> None:
    result = run_on_database(
        "import", save(tmp_path / "a.json", dashboard()), "--input", "DS_LOGS=logs"
    )

    assert (result.exit_code, "inputs.DS_LOGS" in result.stderr) == (1, True)


def test_an_owner_is_named_and_must_be_there(
    run_on_database: Run, migrated_database_url: str, tmp_path: Path
) -> None:
    with open_people(Config(database=DatabaseConfig(url=migrated_database_url))) as people:
        people.accounts.create_user("ada", "correct horse battery", "editor", SYSTEM)
    path = save(tmp_path / "a.json", dashboard())

    assert 'no user "bob"' in run_on_database("import", path, "--owner", "bob").stderr
    assert run_on_database("import", path, "--owner", "ada").exit_code == 0
