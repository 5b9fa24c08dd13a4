"""Folders of dashboards in PostgreSQL."""

from __future__ import annotations

from psycopg2 import errors as pg
from psycopg2.extensions import cursor

from tidegauge.errors import Conflict
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.audit import write_audit
from tidegauge.storage.dashboard_rows import FolderRow
from tidegauge.storage.pool import Pool
from tidegauge.storage.texts import is_storable

_LIST = """
SELECT held.uid, held.title, parent.uid
FROM dashboard_folders AS held LEFT JOIN dashboard_folders AS parent ON parent.id = held.parent_id
ORDER BY lower(held.title), held.id
"""
_READ = """
SELECT held.uid, held.title, parent.uid
FROM dashboard_folders AS held LEFT JOIN dashboard_folders AS parent ON parent.id = held.parent_id
WHERE held.uid = %s
"""
_COUNT = "SELECT count(*) FROM dashboard_folders"
_ADD = """
INSERT INTO dashboard_folders (uid, title, parent_id)
VALUES (%(uid)s, %(title)s, (SELECT id FROM dashboard_folders WHERE uid = %(parent)s))
ON CONFLICT DO NOTHING RETURNING id
"""
_CHANGE = """
UPDATE dashboard_folders SET title = %(title)s,
    parent_id = (SELECT id FROM dashboard_folders WHERE uid = %(parent)s)
WHERE uid = %(uid)s RETURNING id
"""
_DELETE = "DELETE FROM dashboard_folders WHERE uid = %s RETURNING id"
# Two moves at once could make a ring of folders that each alone does not.
_LOCK = "LOCK TABLE dashboard_folders IN SHARE ROW EXCLUSIVE MODE"
_IS_INSIDE = """
WITH RECURSIVE above AS (
    SELECT id, parent_id, uid FROM dashboard_folders WHERE uid = %(parent)s
    UNION
    SELECT held.id, held.parent_id, held.uid
    FROM dashboard_folders AS held JOIN above ON held.id = above.parent_id
), below AS (
    SELECT id, 1 AS levels FROM dashboard_folders WHERE uid = %(uid)s
    UNION ALL
    SELECT held.id, below.levels + 1
    FROM dashboard_folders AS held JOIN below ON held.parent_id = below.id
)
SELECT EXISTS (SELECT FROM above WHERE uid = %(uid)s),
    (SELECT count(*) FROM above) + (SELECT max(levels) FROM below)
"""


class DashboardFolders:
    """Folders, which may lie in one another; every method raises Unavailable.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read_all(self) -> list[FolderRow]:
        """Return all folders by title."""
        with self._pool.transaction() as lent:
            lent.execute(_LIST)
            return [FolderRow(*row) for row in lent.fetchall()]

    def read(self, uid: str) -> FolderRow | None:
        """Return a folder, or None."""
        if not is_storable(uid):
            return None
        with self._pool.transaction() as lent:
            lent.execute(_READ, (uid,))
            return next((FolderRow(*row) for row in lent.fetchall()), None)

    def add(self, folder: FolderRow, audit: AuditEntry, *, most: int) -> None:
        """Store a new folder.

        Args:
            most: so many folders may there be.
        Raises:
            Conflict: the uid, or the title beside it, is taken, or there are too many.
        """
        with self._pool.transaction() as lent:
            lent.execute(_COUNT)
            if lent.fetchall()[0][0] >= most:
                raise Conflict(f"there are {most} folders already, as many as there may be")
            lent.execute(_ADD, _columns_of(folder))
            if not lent.fetchall():
                raise _taken(folder)
            write_audit(lent, audit)

    def change(self, folder: FolderRow, audit: AuditEntry, *, deepest: int) -> bool:
        """Give a folder another title or place; return whether it is there.

        Args:
            deepest: so many folders may lie in one another.
        Raises:
            Conflict: the title is taken there, the place is inside itself, or too deep.
        """
        with self._pool.transaction() as lent:
            lent.execute(_LOCK)
            if folder.parent is not None:
                lent.execute(_IS_INSIDE, _columns_of(folder))
                inside, levels = lent.fetchall()[0]
                if inside:
                    raise Conflict("a folder cannot lie inside itself")
                if (levels or 0) > deepest:
                    raise Conflict(f"folders lie at most {deepest} deep in one another")
            try:
                lent.execute(_CHANGE, _columns_of(folder))
            except pg.UniqueViolation as exc:
                raise _taken(folder) from exc
            return _note(lent, audit)

    def delete(self, uid: str, audit: AuditEntry) -> bool:
        """Delete a folder; return whether it was there.

        Raises:
            Conflict: something is in it.
        """
        if not is_storable(uid):
            return False
        with self._pool.transaction() as lent:
            try:
                lent.execute(_DELETE, (uid,))
            except pg.ForeignKeyViolation as exc:
                raise Conflict("the folder is not empty; move or delete what is in it") from exc
            return _note(lent, audit)


def _note(lent: cursor, audit: AuditEntry) -> bool:
    """Record a change if the statement before made one; return whether it did."""
    changed = bool(lent.fetchall())
    if changed:
        write_audit(lent, audit)
    return changed


def _columns_of(folder: FolderRow) -> dict[str, object]:
    return {"uid": folder.uid, "title": folder.title, "parent": folder.parent}


def _taken(folder: FolderRow) -> Conflict:
    return Conflict(f'there is a folder "{folder.title}" at this place already, or one of this uid')
