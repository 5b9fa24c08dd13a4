"""Who may do what to whose dashboard: owner, another editor, viewer, admin, stranger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tidegauge.auth.principal import LOCAL
from tidegauge.dashboards.access import Sender
from tidegauge.dashboards.panels import PanelId
from tidegauge.errors import Forbidden, NotFound
from tidegauge.storage.dashboard_rows import DashboardFilter

from tests.support.people import ALMIGHTY
from tests.unit.dashboards.conftest import ADMIN, OWNER, PEOPLE, Process
from tests.unit.dashboards.examples import dashboard

Deed = Callable[[Process, Sender, int], Any]
READS: dict[str, Deed] = {
    "read": lambda at, who, one: at.dashboards.read(who, one),
    "versions": lambda at, who, one: at.history.versions(who, one, before=None, limit=9),
    "version": lambda at, who, one: at.history.read(who, one, 1),
    "diff": lambda at, who, one: at.history.diff(who, one, old=1, new=1),
}
WRITES: dict[str, Deed] = {
    "update": lambda at, who, one: at.dashboards.update(who, one, {"title": "x"}, None),
    "delete": lambda at, who, one: at.dashboards.delete(who, one, None),
    "restore": lambda at, who, one: at.history.restore(who, one, 1, None, ""),
    "add panel": lambda at, who, one: at.panels.add(who, one, {"type": "line"}, None),
    "update panel": lambda at, who, one: at.panels.update(who, PanelId(one, 1), {}, None),
    "delete panel": lambda at, who, one: at.panels.delete(who, PanelId(one, 1), None),
    "replace": lambda at, who, one: at.dashboards.take(
        who, dashboard(uid="theirs"), inputs={}, fields={}, overwrite=True
    ),
}


def outcome(deed: Deed, process: Process, who: str, dashboard_id: int) -> str:
    try:
        deed(process, PEOPLE[who], dashboard_id)
    except NotFound:
        return "not found"
    except Forbidden:
        return "not yours"
    return "done"


def make(process: Process, *, public: bool) -> int:
    taken = process.dashboards.take(
        OWNER, dashboard(uid="theirs"), inputs={}, fields={"public": public}, overwrite=False
    )
    process.panels.add(OWNER, taken.dashboard.row.id, {"type": "line"}, None)
    return taken.dashboard.row.id


@pytest.mark.parametrize("deed", READS.values(), ids=READS.keys())
@pytest.mark.parametrize(
    ("who", "of_private", "of_public"),
    [
        ("owner", "done", "done"),
        ("admin", "done", "done"),
        ("other", "not found", "done"),
        ("viewer", "not found", "done"),
        ("stranger", "not found", "not found"),
    ],
)
def test_who_may_read(
    process: Process, deed: Deed, who: str, of_private: str, of_public: str
) -> None:
    number = make(process, public=False)

    assert outcome(deed, process, who, number) == of_private
    process.dashboards.update(OWNER, number, {"public": True}, None)
    assert outcome(deed, process, who, number) == of_public


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize(
    ("who", "of_private", "of_public"),
    [
        ("owner", "done", "done"),
        ("admin", "done", "done"),
        ("other", "not found", "not yours"),
        ("viewer", "not found", "not yours"),
        ("stranger", "not found", "not found"),
    ],
)
def test_who_may_write(
    process: Process, name: str, who: str, of_private: str, of_public: str
) -> None:
    for public, expected in ((False, of_private), (True, of_public)):
        if name == "replace" and expected == "not found":
            # It makes a new one of their own, or, without that right, nothing.
            expected = "done" if who == "other" else "not yours"
        number = make(process, public=public)
        before = process.dashboards.read(OWNER, number)

        assert outcome(WRITES[name], process, who, number) == expected

        if expected != "done" or (name, who) == ("replace", "other"):
            assert process.dashboards.read(OWNER, number) == before
        if outcome(READS["read"], process, "owner", number) == "done":
            process.dashboards.delete(ADMIN, number, None)


@pytest.mark.parametrize("number", [0, -1, 999_999, 2**31, 2**70])
def test_what_is_not_there_is_not_found(process: Process, number: int) -> None:
    for deed in (*READS.values(), WRITES["update"], WRITES["delete"], WRITES["add panel"]):
        assert outcome(deed, process, "admin", number) == "not found"


@pytest.mark.parametrize(
    ("who", "expected"),
    [("owner", True), ("admin", True), ("viewer", False), ("stranger", False)],
)
def test_who_may_create(process: Process, who: str, expected: bool) -> None:
    def create(at: Process, sender: Sender, _number: int) -> Any:
        return at.dashboards.create(sender, {"title": "New"})

    assert outcome(create, process, who, 0) == ("done" if expected else "not yours")


def test_lists_hold_what_may_be_seen(process: Process) -> None:
    process.dashboards.create(OWNER, {"title": "private"})
    process.dashboards.create(OWNER, {"title": "public", "public": True})

    found = {
        who: [row.title for row in process.dashboards.search(principal, DashboardFilter())]
        for who, principal in PEOPLE.items()
        if who != "stranger"
    }

    assert found == {
        "owner": ["private", "public"],
        "other": ["public"],
        "viewer": ["public"],
        "admin": ["private", "public"],
    }


def test_what_nobody_owns_belongs_to_no_program_without_an_account(process: Process) -> None:
    nobody = Sender.of(ALMIGHTY)
    number = process.dashboards.create(nobody, {"title": "Nobody's"}).row.id

    with pytest.raises(NotFound):
        process.dashboards.read(Sender.of(LOCAL), number)


@pytest.mark.parametrize("who", ["owner", "other", "viewer", "stranger"])
def test_only_admins_change_folders(process: Process, who: str) -> None:
    process.folders.create(ADMIN, uid="f", title="F", parent=None)

    for change in (
        lambda: process.folders.create(PEOPLE[who], uid=None, title="N", parent=None),
        lambda: process.folders.update(PEOPLE[who], "f", title="N", parent=None, move=False),
        lambda: process.folders.delete(PEOPLE[who], "f"),
    ):
        with pytest.raises(Forbidden):
            change()
