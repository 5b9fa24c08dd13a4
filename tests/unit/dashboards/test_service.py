"""Dashboards in PostgreSQL: what a write returned, every later read shows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from tidegauge.config import DashboardsConfig
from tidegauge.dashboards.errors import InvalidDashboard, PreconditionFailed, StaleVersion
from tidegauge.dashboards.grafana_diff import diff_dashboards
from tidegauge.dashboards.service import Expected
from tidegauge.errors import Conflict, NotFound
from tidegauge.storage.dashboard_rows import DashboardFilter

from tests.unit.dashboards.conftest import ADMIN, OTHER, OWNER, Process
from tests.unit.dashboards.examples import OLD_ROWS, SHARED, dashboard, panel

Json = dict[str, Any]


@pytest.fixture
def config() -> DashboardsConfig:
    return DashboardsConfig(total=20, versions_kept=3)


def line(query: str = "up", **more: Any) -> Json:
    return {"type": "line", "title": query, "query": query, **more}


def take(process: Process, sent: Any, *, overwrite: bool = False, **fields: Any) -> Any:
    return process.dashboards.take(OWNER, sent, inputs={}, fields=fields, overwrite=overwrite)


def test_a_new_dashboard_is_read_as_it_was_made(process: Process) -> None:
    made = process.dashboards.create(OWNER, {"title": "Mine", "tags": ["a"], "message": "first"})

    read = process.dashboards.read(OWNER, made.row.id)

    assert read == made
    assert (read.row.version, read.row.owner_id, read.row.is_public) == (1, 1, False)
    assert read.document["uid"] == read.row.uid
    assert [one.message for one in _versions(process, made.row.id)] == ["first"]


def _versions(process: Process, dashboard_id: int) -> list[Any]:
    return process.history.versions(OWNER, dashboard_id, before=None, limit=100)


def test_each_save_is_a_version_with_author_and_message(process: Process) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id

    changed = process.dashboards.update(
        ADMIN, number, {"title": "Two", "message": "renamed"}, Expected(1)
    )

    assert (changed.row.version, changed.row.title) == (2, "Two")
    assert [(one.version, one.author, one.message) for one in _versions(process, number)] == [
        (2, "root", "renamed"),
        (1, "ada", ""),
    ]


def test_so_many_versions_are_kept(process: Process) -> None:
    number = process.dashboards.create(OWNER, {"title": "0"}).row.id
    for title in "12345":
        process.dashboards.update(OWNER, number, {"title": title}, None)

    assert [one.version for one in _versions(process, number)] == [6, 5, 4]
    with pytest.raises(NotFound, match="no version 3"):
        process.history.read(OWNER, number, 3)


def test_a_change_to_an_older_version_is_refused_and_names_the_newest(process: Process) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id
    process.dashboards.update(OWNER, number, {"title": "Two"}, Expected(1))

    with pytest.raises(StaleVersion, match=r"at version 2, .* to version 1"):
        process.dashboards.update(OWNER, number, {"title": "Three"}, Expected(1))
    with pytest.raises(PreconditionFailed):
        process.dashboards.delete(OWNER, number, Expected(1, is_header=True))

    assert process.dashboards.read(OWNER, number).row.title == "Two"


def test_eight_clients_that_add_panels_lose_none(open_process: Callable[[], Process]) -> None:
    processes = [open_process(), open_process()]
    number = processes[0].dashboards.create(OWNER, {"title": "Busy"}).row.id

    def add(client: int) -> list[str]:
        panels = processes[client % 2].panels
        return [
            str(panels.add(OWNER, number, line(f"a{client}_{turn}"), None)[1]) for turn in range(5)
        ]

    with ThreadPoolExecutor(8) as pool:
        given = [one for ids in pool.map(add, range(8)) for one in ids]

    read = processes[1].dashboards.read(OWNER, number)
    queries = {one["targets"][0]["expr"] for one in read.document["panels"]}
    assert len(set(given)) == 40
    assert queries == {f"a{client}_{turn}" for client in range(8) for turn in range(5)}
    assert read.row.version == 41


def test_of_eight_clients_with_one_version_one_wins_and_seven_hear_of_it(
    open_process: Callable[[], Process],
) -> None:
    processes = [open_process(), open_process()]
    number = processes[0].dashboards.create(OWNER, {"title": "Start"}).row.id
    together = threading.Barrier(8, timeout=60)

    def write(client: int) -> tuple[str, int]:
        together.wait()
        try:
            done = processes[client % 2].dashboards.update(
                OWNER, number, {"title": f"by {client}"}, Expected(1)
            )
        except StaleVersion as exc:
            return "stale", exc.current
        # What the write returned, a read in the other process shows at once.
        seen = processes[1 - client % 2].dashboards.read(OWNER, number)
        assert seen.document["title"] == done.document["title"] == f"by {client}"
        return "won", done.row.version

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(write, range(8)))

    assert outcomes == [("stale", 2)] * 7 + [("won", 2)]


def test_every_process_reads_what_another_wrote_a_moment_ago(
    open_process: Callable[..., Process],
) -> None:
    writer, reader = open_process(), open_process()
    number = writer.dashboards.create(OWNER, {"title": "0"}).row.id

    for turn in range(1, 20):
        writer.dashboards.update(OWNER, number, {"title": str(turn)}, None)
        assert reader.dashboards.read(OWNER, number).document["title"] == str(turn)


def test_a_read_comes_from_the_cache_while_the_version_is_the_newest(process: Process) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id
    process.dashboards.read(OWNER, number)
    key = f"cache:dashboard:{number}"
    assert (process.cache.get(key) or b"").startswith(b"1:{")

    process.cache.set(key, b'1:{"title":"cached"}', ttl_s=30)
    assert process.dashboards.read(OWNER, number).document == {"title": "cached"}

    process.cache.set(key, b'9:{"title":"of another version"}', ttl_s=30)
    assert process.dashboards.read(OWNER, number).document["title"] == "One"


@pytest.mark.parametrize("held", [b"", b"1:", b"1:{", b"1:[]", b"\xff", b"1"])
def test_odd_bytes_in_the_cache_are_not_believed(process: Process, held: bytes) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id
    process.cache.set(f"cache:dashboard:{number}", held, ttl_s=30)

    assert process.dashboards.read(OWNER, number).document["title"] == "One"


def test_ids_of_panels_stay_and_none_is_given_twice(process: Process) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id
    first = process.panels.add(OWNER, number, line("a"), None)[1]
    second = process.panels.add(OWNER, number, line("b"), None)[1]

    process.panels.delete(OWNER, second, None)
    third = process.panels.add(OWNER, number, line("c"), None)[1]
    process.panels.update(OWNER, first, {"query": "d"}, None)

    read = process.dashboards.read(OWNER, number)
    assert [str(one) for one in (first, second, third)] == [f"{number}-{one}" for one in (1, 2, 3)]
    assert [(one["id"], one["targets"][0]["expr"]) for one in read.document["panels"]] == [
        (1, "d"),
        (3, "c"),
    ]
    with pytest.raises(NotFound, match=f"no panel {number}-2"):
        process.panels.update(OWNER, second, {"title": "gone"}, None)


def test_a_panel_without_a_position_finds_a_free_one(process: Process) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id
    for query in "abc":
        process.panels.add(OWNER, number, line(query), None)

    places = [one["gridPos"] for one in process.dashboards.read(OWNER, number).document["panels"]]

    assert [(place["x"], place["y"]) for place in places] == [(0, 0), (12, 0), (0, 8)]


def test_a_panel_that_would_lie_on_another_is_refused(process: Process) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id
    place = {"x": 0, "y": 0, "w": 12, "h": 8}
    process.panels.add(OWNER, number, line(position=place), None)
    second = process.panels.add(OWNER, number, line(), None)[1]

    with pytest.raises(InvalidDashboard, match="1 and 2"):
        process.panels.update(OWNER, second, {"position": place}, None)


def test_a_row_with_panels_in_it_is_not_taken_away_alone(process: Process) -> None:
    row = {"id": 5, "type": "row", "collapsed": True, "panels": [panel(6, "a"), panel(7, "b")]}
    number = take(process, dashboard(row)).dashboard.row.id

    with pytest.raises(InvalidDashboard, match="holds panels"):
        process.panels.delete(OWNER, _panel_id(number, 5), None)
    process.panels.delete(OWNER, _panel_id(number, 6), None)

    held = process.dashboards.read(OWNER, number).document["panels"][0]
    assert [one["id"] for one in held["panels"]] == [7]


def _panel_id(number: int, panel_number: int) -> Any:
    from tidegauge.dashboards.panels import PanelId

    return PanelId.parse(f"{number}-{panel_number}")


def test_two_versions_are_compared_and_the_older_one_is_brought_back(process: Process) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id
    process.dashboards.update(OWNER, number, {"title": "Two", "public": True}, None)

    changes = process.history.diff(OWNER, number, old=1, new=2)
    restored = process.history.restore(OWNER, number, 1, Expected(2), "")

    assert [(one.path, one.old, one.new) for one in changes] == [("title", "One", "Two")]
    assert (restored.row.version, restored.row.title, restored.row.is_public) == (3, "One", True)
    assert _versions(process, number)[0].message == "as version 1"


@pytest.mark.parametrize("version", [0, -1, 2, 2**40])
def test_a_version_that_is_not_there_is_not_found(process: Process, version: int) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id

    with pytest.raises(NotFound):
        process.history.read(OWNER, number, version)


@pytest.mark.parametrize("sent", [SHARED, OLD_ROWS])
def test_a_grafana_dashboard_goes_in_and_comes_out_the_same(process: Process, sent: Json) -> None:
    taken = take(process, sent)
    read = process.dashboards.read(OWNER, taken.dashboard.row.id)

    inputs = {"title", "datasource", "__inputs", "uid"}
    changes = diff_dashboards(sent, read.document)

    # Only what the inputs stand for, and the library panel, differ.
    assert taken.is_new
    assert [
        one.path
        for one in changes
        if one.path.rpartition(".")[2] not in inputs
        and not one.path.startswith(("__inputs", "panels[2]"))
    ] == []


def test_a_query_that_does_not_parse_is_told_of_an_import(process: Process) -> None:
    taken = take(process, dashboard(panel(1, "sum(")))

    assert taken.warnings[0].startswith("panels[0].targets[0].expr: the query does not parse")


def test_an_import_of_a_known_uid_replaces_it_only_when_told(process: Process) -> None:
    first = take(process, dashboard(panel(1, "a"), uid="known")).dashboard

    with pytest.raises(Conflict, match=f"dashboard {first.row.id} has the uid"):
        take(process, dashboard(panel(1, "b"), uid="known"))
    again = take(process, dashboard(panel(1, "b"), uid="known"), overwrite=True)

    assert (again.is_new, again.dashboard.row.id, again.dashboard.row.version) == (
        False,
        first.row.id,
        2,
    )


def test_an_import_with_the_uid_of_what_one_may_not_see_gets_another(process: Process) -> None:
    process.dashboards.take(OTHER, dashboard(uid="secret"), inputs={}, fields={}, overwrite=False)

    taken = take(process, dashboard(uid="secret"), overwrite=True)

    assert taken.is_new
    assert taken.dashboard.row.uid != "secret"


@pytest.mark.parametrize("uid", ["", "a b", "../x", "x" * 41, 5, None])
def test_an_odd_uid_is_replaced(process: Process, uid: Any) -> None:
    taken = take(process, dashboard(uid=uid)).dashboard

    assert len(taken.row.uid) == 32
    assert taken.document["uid"] == taken.row.uid


def test_there_are_so_many_dashboards_and_no_more(process: Process) -> None:
    for number in range(20):
        process.dashboards.create(OWNER, {"title": str(number)})

    with pytest.raises(Conflict, match="TIDEGAUGE_DASHBOARDS_TOTAL"):
        process.dashboards.create(OWNER, {"title": "one too many"})


def search(process: Process, **wanted: Any) -> list[str]:
    return [row.title for row in process.dashboards.search(OWNER, DashboardFilter(**wanted))]


def test_dashboards_are_found_by_title_tag_folder_owner_and_uid(process: Process) -> None:
    process.folders.create(ADMIN, uid="ops", title="Ops", parent=None)
    cpu = process.dashboards.create(OWNER, {"title": "CPU %", "tags": ["a", "b"], "folder": "ops"})
    process.dashboards.create(OWNER, {"title": "cpu_load", "tags": ["b"]})
    process.dashboards.create(OTHER, {"title": "Public", "public": True})
    process.dashboards.create(OTHER, {"title": "Private"})

    assert search(process) == ["CPU %", "cpu_load", "Public"]
    assert search(process, search="cpu") == ["CPU %", "cpu_load"]
    assert search(process, search="%") == ["CPU %"]
    assert search(process, tags=["b", "a"]) == ["CPU %"]
    assert search(process, folder="ops") == ["CPU %"]
    assert search(process, folder="") == ["cpu_load", "Public"]
    assert search(process, owner_id=2) == ["Public"]
    assert search(process, uid=cpu.row.uid) == ["CPU %"]
    assert search(process, search="'; DROP TABLE dashboards; --") == []


def test_pages_follow_one_another_without_a_gap(process: Process) -> None:
    for title in ("b", "A", "c", "a", "B"):
        process.dashboards.create(OWNER, {"title": title})
    found: list[str] = []
    after = None
    for _ in range(3):
        page = process.dashboards.search(OWNER, DashboardFilter(limit=2, after=after))
        found += [row.title for row in page]
        after = (page[-1].title.lower(), page[-1].id)

    assert found == ["A", "a", "b", "B", "c"]


def test_a_dashboard_in_a_folder_that_is_not_there_is_refused(process: Process) -> None:
    with pytest.raises(InvalidDashboard, match='folder: there is no folder "gone"'):
        process.dashboards.create(OWNER, {"title": "x", "folder": "gone"})


def test_each_change_is_in_the_log_of_changes(process: Process, migrated_database_url: str) -> None:
    number = process.dashboards.create(OWNER, {"title": "One"}).row.id
    process.panels.add(ADMIN, number, line(), None)
    with pytest.raises(StaleVersion):
        process.dashboards.update(OWNER, number, {"title": "Two"}, Expected(1))
    process.dashboards.delete(OWNER, number, None)
    process.folders.create(ADMIN, uid="f", title="F", parent=None)
    process.folders.update(ADMIN, "f", title="G", parent=None, move=False)
    process.folders.delete(ADMIN, "f")

    with closing(psycopg2.connect(migrated_database_url)) as made, made.cursor() as at:
        at.execute("SELECT actor_name, action, target FROM audit_log ORDER BY id")
        log = at.fetchall()

    one = f"dashboard:{number}"
    assert log == [
        ("ada", "dashboard.create", one),
        ("root", "dashboard.update", one),
        ("ada", "dashboard.delete", one),
        ("root", "folder.create", "folder:f"),
        ("root", "folder.update", "folder:f"),
        ("root", "folder.delete", "folder:f"),
    ]
