"""Folders of dashboards."""

from __future__ import annotations

import pytest
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.errors import Conflict, NotFound
from tidegauge.storage.dashboard_rows import FolderRow

from tests.unit.dashboards.conftest import ADMIN, Process


def make(process: Process, uid: str, parent: str | None = None, title: str = "") -> FolderRow:
    return process.folders.create(ADMIN, uid=uid, title=title or uid.upper(), parent=parent)


def move(process: Process, uid: str, parent: str | None) -> FolderRow:
    return process.folders.update(ADMIN, uid, title=None, parent=parent, move=True)


def test_folders_lie_in_one_another(process: Process) -> None:
    make(process, "b")
    make(process, "a", "b")

    assert process.folders.read_all() == [FolderRow("a", "A", "b"), FolderRow("b", "B", None)]


def test_a_folder_gets_another_title_and_place(process: Process) -> None:
    make(process, "a")
    make(process, "b")

    process.folders.update(ADMIN, "b", title="New", parent="a", move=True)
    assert process.folders.read_all()[1] == FolderRow("b", "New", "a")

    move(process, "b", None)
    assert process.folders.read_all()[1] == FolderRow("b", "New", None)


def test_two_of_one_title_in_one_place_are_refused(process: Process) -> None:
    make(process, "a", title="Ops")
    make(process, "b", "a", title="Ops")

    for uid, parent in (("c", None), ("a", None), ("c", "a")):
        with pytest.raises(Conflict, match="already"):
            make(process, uid, parent, title="ops")
    with pytest.raises(Conflict, match="already"):
        move(process, "b", None)


@pytest.mark.parametrize("parent", ["a", "b", "c"])
def test_a_folder_does_not_go_into_itself(process: Process, parent: str) -> None:
    make(process, "a")
    make(process, "b", "a")
    make(process, "c", "b")

    with pytest.raises(Conflict, match="inside itself"):
        move(process, "a", parent)


def test_folders_lie_only_so_deep(process: Process) -> None:
    for uid, parent in (("a", None), ("b", "a"), ("c", "b"), ("d", "c"), ("e", None)):
        make(process, uid, parent)

    with pytest.raises(InvalidDashboard, match="4 deep"):
        make(process, "f", "d")
    with pytest.raises(Conflict, match="4 deep"):
        move(process, "e", "d")
    make(process, "g", "e")
    with pytest.raises(Conflict, match="4 deep"):
        move(process, "e", "c")
    assert move(process, "e", "b").parent == "b"


def test_a_folder_that_holds_something_stays(process: Process) -> None:
    make(process, "a")
    make(process, "b", "a")
    made = process.dashboards.create(ADMIN, {"title": "x", "folder": "b"})

    for uid in ("a", "b"):
        with pytest.raises(Conflict, match="not empty"):
            process.folders.delete(ADMIN, uid)
    process.dashboards.update(ADMIN, made.row.id, {"folder": None}, None)
    process.folders.delete(ADMIN, "b")

    assert process.dashboards.read(ADMIN, made.row.id).row.folder is None
    assert [one.uid for one in process.folders.read_all()] == ["a"]


def test_a_folder_that_is_not_there_is_not_found(process: Process) -> None:
    with pytest.raises(NotFound):
        process.folders.delete(ADMIN, "gone")
    with pytest.raises(NotFound):
        move(process, "gone", None)
    with pytest.raises(InvalidDashboard, match="no folder"):
        make(process, "a", "gone")


@pytest.mark.parametrize("uid", ["a b", "../a", "x" * 41, "ä"])
def test_an_odd_uid_is_refused(process: Process, uid: str) -> None:
    with pytest.raises(InvalidDashboard, match="uid"):
        make(process, uid)
