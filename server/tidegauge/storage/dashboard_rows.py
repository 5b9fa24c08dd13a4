"""What the tables of dashboards hold, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FolderRow:
    """A folder.

    Args:
        parent: the uid of the folder it lies in; None at the top.
    """

    uid: str
    title: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class DashboardRow:
    """A dashboard without its body.

    Args:
        id: given once, never again.
        uid: what Grafana knows it by.
        owner_id, owner: the account whose it is, and its name; None: nobody's.
        is_public: whether every signed-in user sees it.
        folder: the uid of its folder; None at the top.
        version: the newest; from 1, one more with each save.
        panels: how many there are.
        last_panel: the highest panel id there ever was.
        created_ms, changed_ms: Unix ms.
    """

    id: int
    uid: str
    owner_id: int | None
    owner: str | None
    is_public: bool
    folder: str | None
    version: int
    title: str
    description: str
    tags: Sequence[str]
    panels: int
    last_panel: int
    created_ms: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class DashboardContent:
    """What is saved of a dashboard with each version.

    Args:
        body: classic Grafana JSON.
        uid, is_public, folder, title, description, tags, panels, last_panel: as `DashboardRow`.
    """

    body: bytes
    uid: str
    is_public: bool
    folder: str | None
    title: str
    description: str
    tags: Sequence[str]
    panels: int
    last_panel: int


@dataclass(frozen=True, slots=True)
class Author:
    """Who saves, and what for.

    Args:
        user_id: the account; None without one.
        name: for people to read.
        message: why; "" where nothing was said.
    """

    user_id: int | None
    name: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One saved version, without its body."""

    version: int
    author_id: int | None
    author: str
    message: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody may see.

    Args:
        everything: also what is private.
        user_id: whose private ones; None: nobody's.
    """

    everything: bool
    user_id: int | None


@dataclass(frozen=True, slots=True)
class DashboardFilter:
    """Which dashboards a list holds; all conditions together.

    Args:
        search: part of the title, upper and lower case the same; "" fits all.
        tags: it has all of these.
        folder: the uid of its folder; "" for the top; None: any.
        owner_id: the account whose it is; None: anybody's.
        uid: its own; "" fits all.
        after: (title, id) of the last one of the page before; None: from the start.
        limit: at most so many.
    """

    search: str = ""
    tags: Sequence[str] = ()
    folder: str | None = None
    owner_id: int | None = None
    uid: str = ""
    after: tuple[str, int] | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class FileRow:
    """The file that a dashboard was loaded from.

    Args:
        path: below the provisioning folder.
        digest: of the file as it was loaded.
        conflicts: places that an edit and the last load had both changed.
        loaded_ms: Unix ms.
    """

    dashboard_id: int
    path: str
    digest: str
    conflicts: Sequence[str]
    loaded_ms: int
