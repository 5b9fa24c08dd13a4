"""Folders of dashboards, as Grafana has them: everybody sees them, admins change them."""

from __future__ import annotations

import re
from collections.abc import Callable

from tidegauge.dashboards.access import Sender
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.guarded import guarded
from tidegauge.errors import Forbidden, NotFound
from tidegauge.resilience.breaker import CircuitBreaker
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.dashboard_folders import DashboardFolders
from tidegauge.storage.dashboard_rows import FolderRow

MAX_FOLDERS = 1000
DEEPEST = 4
"""So many folders may lie in one another, as in Grafana."""

_UID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


class FolderService:
    """Lists and changes folders; every method raises Unavailable when the database is away.

    Args:
        store: the record.
        breaker: refuses at once while the database keeps failing.
        new_uid: makes a uid.
    """

    def __init__(
        self, *, store: DashboardFolders, breaker: CircuitBreaker, new_uid: Callable[[], str]
    ) -> None:
        self._store, self._new_uid = store, new_uid
        self.breaker = breaker

    @guarded
    def read_all(self) -> list[FolderRow]:
        """Return all folders by title."""
        return self._store.read_all()

    @guarded
    def create(
        self, sender: Sender, *, uid: str | None, title: str, parent: str | None
    ) -> FolderRow:
        """Store a new folder.

        Args:
            uid: None: a new one.
            parent: the uid of the folder it lies in; None: at the top.
        Raises:
            Forbidden, InvalidDashboard, Conflict.
        """
        _check_may_change(sender)
        folder = FolderRow(uid or self._new_uid(), title, parent)
        if not _UID.fullmatch(folder.uid):
            raise InvalidDashboard("uid", "1 to 40 letters, digits, _ and -")
        if parent is not None and self._depth(parent) >= DEEPEST:
            raise InvalidDashboard("parent", f"folders lie at most {DEEPEST} deep in one another")
        self._store.add(folder, _entry(sender, "create", folder.uid, title), most=MAX_FOLDERS)
        return folder

    @guarded
    def update(
        self, sender: Sender, uid: str, *, title: str | None, parent: str | None, move: bool
    ) -> FolderRow:
        """Give a folder another title or place.

        Args:
            title: None: as it is.
            parent: the uid of the folder it goes into; None: to the top.
            move: whether `parent` counts.
        Raises:
            Forbidden, NotFound, InvalidDashboard, Conflict.
        """
        _check_may_change(sender)
        held = self._store.read(uid)
        if held is None:
            raise _not_there(uid)
        if move and parent is not None:
            self._depth(parent)
        changed = FolderRow(uid, title or held.title, parent if move else held.parent)
        entry = _entry(sender, "update", uid, changed.title)
        if not self._store.change(changed, entry, deepest=DEEPEST):
            raise _not_there(uid)
        return changed

    @guarded
    def delete(self, sender: Sender, uid: str) -> None:
        """Delete a folder that is empty.

        Raises:
            Forbidden, NotFound, Conflict.
        """
        _check_may_change(sender)
        if not self._store.delete(uid, _entry(sender, "delete", uid)):
            raise _not_there(uid)

    def _depth(self, uid: str) -> int:
        parents = {one.uid: one.parent for one in self._store.read_all()}
        if uid not in parents:
            raise InvalidDashboard("parent", f'there is no folder "{uid}"')
        depth, here = 0, parents.get(uid)
        while here is not None and depth < DEEPEST:
            depth, here = depth + 1, parents.get(here)
        return depth + 1


def _check_may_change(sender: Sender) -> None:
    if not sender.principal.may("folder:change"):
        raise Forbidden(f"{sender.principal.name} may not change folders; admins may")


def _entry(sender: Sender, action: str, uid: str, title: str = "") -> AuditEntry:
    details = {"title": title} if title else {}
    return sender.actor.entry(f"folder.{action}", target=f"folder:{uid}", details=details)


def _not_there(uid: str) -> NotFound:
    return NotFound(f'there is no folder "{uid[:64]}"')
