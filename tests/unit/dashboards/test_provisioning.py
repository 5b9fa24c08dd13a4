"""A folder of dashboards, loaded at the start and on change."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from tidegauge.config import DashboardsConfig
from tidegauge.errors import Forbidden, NotFound
from tidegauge.observability.logs import make_logger
from tidegauge.services.dashboards import keep_provisioned
from tidegauge.services.parts import Tools
from tidegauge.storage.dashboard_rows import DashboardFilter

from tests.unit.dashboards.conftest import ADMIN, OWNER, VIEWER, Process
from tests.unit.dashboards.examples import OLD_ROWS, dashboard, panel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dashboards"


@pytest.fixture
def config(folder: Path) -> DashboardsConfig:
    return DashboardsConfig(folder=str(folder))


class Files:
    """The folder, whose files get a later time with each write."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.written = folder, 0

    def write(self, name: str, content: Any) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        # Two writes within the clock's step are two writes all the same.
        self.written += 1
        os.utime(path, ns=(self.written * 10**9, self.written * 10**9))


@pytest.fixture
def files(folder: Path) -> Files:
    folder.mkdir()
    return Files(folder)


def only(process: Process) -> Any:
    (row,) = process.dashboards.search(VIEWER, DashboardFilter())
    return process.dashboards.read(VIEWER, row.id)


def test_files_are_loaded_and_everybody_sees_them(process: Process, files: Files) -> None:
    files.write("a.json", dashboard(panel(1, "up"), uid="a", title="A"))
    files.write("deeper/b.json", OLD_ROWS)

    assert process.provisioning.scan() == 2
    assert process.provisioning.scan() == 0

    rows = process.dashboards.search(VIEWER, DashboardFilter())
    assert [(row.title, row.owner_id, row.version) for row in rows] == [
        ("A", None, 1),
        ("From 2016", None, 1),
    ]
    with pytest.raises(Forbidden):
        process.dashboards.update(OWNER, rows[0].id, {"title": "mine"}, None)


def test_a_changed_file_is_the_next_version(process: Process, files: Files) -> None:
    files.write("a.json", dashboard(title="One"))
    process.provisioning.scan()

    files.write("a.json", dashboard(title="Two"))

    assert process.provisioning.scan() == 1
    found = only(process)
    assert (found.row.title, found.row.version) == ("Two", 2)
    newest = process.history.versions(VIEWER, found.row.id, before=None, limit=1)[0]
    assert (newest.author, newest.message) == ("a file", "loaded from a.json")


def test_a_second_process_finds_done_what_the_first_has_loaded(
    open_process: Callable[[], Process], files: Files
) -> None:
    first, second = open_process(), open_process()
    files.write("a.json", dashboard(uid="a"))

    assert (first.provisioning.scan(), second.provisioning.scan()) == (1, 0)
    assert only(second).row.version == 1


def test_an_edit_is_shown_and_kept_when_the_file_changes(process: Process, files: Files) -> None:
    files.write("a.json", dashboard(panel(1, "a"), panel(2, "b"), title="One"))
    process.provisioning.scan()
    number = only(process).row.id
    process.dashboards.update(
        ADMIN, number, {"panels": [{"id": 1, "query": "mine"}, {"id": 2}]}, None
    )

    files.write("a.json", dashboard(panel(1, "new"), panel(2, "fresh"), title="Two"))
    process.provisioning.scan()

    found = only(process)
    queries = [one["targets"][0]["expr"] for one in found.document["panels"]]
    assert (found.row.title, queries) == ("Two", ["mine", "fresh"])
    drift = process.provisioning.read_drift(VIEWER, number)
    assert drift.file.path == "a.json"
    assert drift.file.conflicts == ["panels[1].targets[A].expr"]
    assert [(one.path, one.old, one.new) for one in drift.changes] == [
        ("panels[1].targets[A].expr", "new", "mine")
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"title": ', "is not JSON"),
        ({"panels": []}, "needs a title"),
        (dashboard(uid="taken"), "which is ada's"),
        ({"title": "x", "elements": {}, "layout": {}}, "version 2"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told_once_and_harms_no_other(
    open_process: Callable[..., Process], files: Files, content: Any, reason: str
) -> None:
    stream = io.BytesIO()
    process = open_process(log_stream=stream)
    process.dashboards.take(OWNER, dashboard(uid="taken"), inputs={}, fields={}, overwrite=False)
    files.write("a.json", content)
    files.write("b.json", dashboard(title="Sound"))

    assert (process.provisioning.scan(), process.provisioning.scan()) == (1, 0)

    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    told = [line for line in lines if line["level"] == "warning"]
    assert [line["file"] for line in told] == ["a.json"]
    assert reason in told[0]["reason"]
    files.write("a.json", dashboard(uid="mended", title="Mended"))
    assert process.provisioning.scan() == 1


def test_when_a_file_goes_its_dashboard_stays(process: Process, files: Files) -> None:
    files.write("a.json", dashboard(title="Stays", uid="a"))
    process.provisioning.scan()
    (files.folder / "a.json").unlink()

    process.provisioning.scan()

    found = only(process)
    assert found.row.title == "Stays"
    with pytest.raises(NotFound, match="came from no file"):
        process.provisioning.read_drift(VIEWER, found.row.id)
    files.write("again.json", dashboard(title="Back", uid="a"))
    process.provisioning.scan()
    assert (only(process).row.id, only(process).row.title) == (found.row.id, "Back")


def test_a_file_that_is_renamed_keeps_its_dashboard(process: Process, files: Files) -> None:
    files.write("a.json", dashboard(title="Same", uid="a"))
    process.provisioning.scan()
    number = only(process).row.id
    (files.folder / "a.json").rename(files.folder / "b.json")

    process.provisioning.scan()

    assert process.provisioning.read_drift(VIEWER, number).file.path == "b.json"
    assert (only(process).row.version, process.provisioning.scan()) == (1, 0)


def test_of_two_files_with_one_uid_the_first_counts(process: Process, files: Files) -> None:
    files.write("a.json", dashboard(title="First", uid="same"))
    files.write("b.json", dashboard(title="Second", uid="same"))

    assert [process.provisioning.scan() for _ in range(3)] == [1, 0, 0]
    assert only(process).row.title == "First"


def test_hidden_files_and_folders_are_not_looked_at(process: Process, files: Files) -> None:
    files.write("..data/a.json", dashboard(uid="a"))
    files.write(".a.json.new", dashboard(uid="b"))

    assert process.provisioning.scan() == 0


def test_a_folder_that_is_away_changes_nothing(
    process: Process, files: Files, folder: Path
) -> None:
    files.write("a.json", dashboard(title="Stays"))
    process.provisioning.scan()
    folder.rename(folder.with_name("elsewhere"))

    assert process.provisioning.scan() == 0

    assert process.provisioning.read_drift(VIEWER, only(process).row.id).changes == []


def test_a_dashboard_that_was_deleted_comes_back_with_its_file(
    process: Process, files: Files
) -> None:
    files.write("a.json", dashboard(title="Back", uid="a"))
    process.provisioning.scan()
    process.dashboards.delete(ADMIN, only(process).row.id, None)

    assert process.provisioning.scan() == 1
    assert only(process).row.title == "Back"


def test_the_folder_is_looked_at_until_told_to_stop(process: Process, files: Files) -> None:
    files.write("a.json", dashboard(title="Loaded"))
    stop = threading.Event()
    stop.set()
    tools = Tools(log=make_logger(io.BytesIO(), level="info", service="t", clock_ms=lambda: 0))

    keep_provisioned(process.provisioning, stop, scan_s=3600, tools=tools)

    assert only(process).row.title == "Loaded"
