"""Dashboards in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.files import (
    check_file,
    file_name,
    find_files,
    folder_path,
    read_file,
    write_file,
)
from tidegauge.query.parsing import QueryParser

from tests.unit.dashboards.examples import OLD_ROWS, SHARED, dashboard, panel

PARSER = QueryParser(max_depth=100)


def save(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(("document", "panels", "queries"), [(SHARED, 3, 2), (OLD_ROWS, 4, 3)])
def test_a_sound_dashboard_is_counted_and_comes_out_the_same(
    tmp_path: Path, document: Any, panels: int, queries: int
) -> None:
    found = check_file(save(tmp_path / "a.json", document), PARSER, datasource_uid="x")

    assert (found.fault, found.changes, found.query_faults) == ("", [], [])
    assert (found.panels, found.queries) == (panels, queries)


def test_faulty_queries_and_files_are_told(tmp_path: Path) -> None:
    broken = save(tmp_path / "broken.json", dashboard(panel(1, "sum(")))
    other = save(tmp_path / "other.json", {"name": "package"})
    torn = tmp_path / "torn.json"
    torn.write_text('{"title": "x", ')

    assert len(check_file(broken, PARSER, datasource_uid="x").query_faults) == 1
    assert "needs a title" in check_file(other, PARSER, datasource_uid="x").fault
    assert "is not JSON" in check_file(torn, PARSER, datasource_uid="x").fault
    assert "cannot be read" in check_file(tmp_path / "no", PARSER, datasource_uid="x").fault


def test_files_are_found_below_a_folder_by_name(tmp_path: Path) -> None:
    for name in ("b.json", "a/z.json", "a/readme.md"):
        save(tmp_path / name, {})

    assert find_files(tmp_path) == [tmp_path / "a/z.json", tmp_path / "b.json"]
    assert find_files(tmp_path / "b.json") == [tmp_path / "b.json"]
    with pytest.raises(InvalidDashboard, match="no file or folder"):
        find_files(tmp_path / "nothing")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep/er/a.json"

    write_file(path, {"title": "one"})
    write_file(path, {"title": "two"})

    assert read_file(path) == {"title": "two"}
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file, no folder")

    with pytest.raises(InvalidDashboard, match="cannot be written"):
        write_file(tmp_path / "a/b.json", {})


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("CPU / load", "CPU-load-u1.json"),
        ("../../etc/passwd", "etc-passwd-u1.json"),
        ("…", "untitled-u1.json"),
        ("x" * 300, "x" * 80 + "-u1.json"),
    ],
)
def test_names_of_files_are_safe(title: str, name: str) -> None:
    assert file_name({"title": title, "uid": "u1"}) == name


def test_folders_become_folders() -> None:
    folders = {"a": ("Ops/all", None), "b": ("..", "a"), "ring": ("R", "ring")}

    assert folder_path(None, folders) == Path()
    assert folder_path("b", folders) == Path("Ops-all/untitled")
    assert folder_path("gone", folders) == Path()
    assert folder_path("ring", folders).parts == ("R", "R", "R")


def test_the_dashboards_that_are_shipped_are_sound(repository: Path) -> None:
    found = [
        check_file(path, PARSER, datasource_uid="tidegauge_prom")
        for path in find_files(repository / "grafana/dashboards")
    ]

    assert len(found) >= 2
    assert [(one.path.name, one.fault, one.changes, one.query_faults) for one in found] == [
        (one.path.name, "", [], []) for one in found
    ]
