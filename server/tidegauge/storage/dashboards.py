"""Dashboards and their versions in PostgreSQL."""

from __future__ import annotations

from psycopg2.extensions import cursor

from tidegauge.errors import Conflict
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.audit import write_audit
from tidegauge.storage.dashboard_rows import (
    Author,
    DashboardContent,
    DashboardFilter,
    DashboardRow,
    Seen,
    VersionRow,
)
from tidegauge.storage.pool import Pool

_READ = """
SELECT id, uid, owner_id, owner, is_public, folder, version, title, description, tags, panels,
    last_panel, created_ms, changed_ms
FROM dashboard_heads WHERE id = %s
"""
_READ_UID = """
SELECT id, uid, owner_id, owner, is_public, folder, version, title, description, tags, panels,
    last_panel, created_ms, changed_ms
FROM dashboard_heads WHERE uid = %s
"""
_READ_WHOLE = """
SELECT head.id, uid, owner_id, owner, is_public, folder, head.version, title, description, tags,
    panels, last_panel, head.created_ms, changed_ms, body
FROM dashboard_heads AS head JOIN dashboard_saves AS saved
    ON saved.dashboard_id = head.id AND saved.version = head.version
WHERE head.id = %s
"""
_LIST = """
SELECT id, uid, owner_id, owner, is_public, folder, version, title, description, tags, panels,
    last_panel, created_ms, changed_ms
FROM dashboard_heads
WHERE (%(everything)s OR is_public OR owner_id = %(user_id)s)
    AND strpos(lower(title), lower(%(search)s)) > 0
    AND tags @> %(tags)s::text[]
    AND (%(folder)s::text IS NULL OR coalesce(folder, '') = %(folder)s)
    AND (%(owner_id)s::integer IS NULL OR owner_id = %(owner_id)s)
    AND (%(uid)s = '' OR uid = %(uid)s)
    AND (%(after_id)s::integer IS NULL
        OR (lower(title), id) > (lower(%(after_title)s), %(after_id)s))
ORDER BY lower(title), id LIMIT %(limit)s
"""
_COUNT = "SELECT count(*) FROM dashboards"
_ADD = """
INSERT INTO dashboards
    (uid, owner_id, is_public, folder_id, title, description, tags, panels, last_panel)
VALUES (
    %(uid)s, %(owner_id)s, %(is_public)s,
    (SELECT id FROM dashboard_folders WHERE uid = %(folder)s),
    %(title)s, %(description)s, %(tags)s::text[], %(panels)s, %(last_panel)s
)
ON CONFLICT (uid) DO NOTHING
RETURNING id, version
"""
# The version in the condition is what keeps two writers from undoing each other.
_SAVE = """
UPDATE dashboards SET
    version = version + 1, uid = %(uid)s, is_public = %(is_public)s,
    folder_id = (SELECT id FROM dashboard_folders WHERE uid = %(folder)s),
    title = %(title)s, description = %(description)s, tags = %(tags)s::text[],
    panels = %(panels)s, last_panel = %(last_panel)s, changed_at = now()
WHERE id = %(id)s AND version = %(version)s
RETURNING id, version
"""
_ADD_VERSION = """
INSERT INTO dashboard_versions (dashboard_id, version, body, author_id, author, message)
VALUES (%s, %s, %s, %s, %s, %s)
"""
_DROP_VERSIONS = "DELETE FROM dashboard_versions WHERE dashboard_id = %s AND version <= %s"
_DELETE = "DELETE FROM dashboards WHERE id = %(id)s AND version = %(version)s RETURNING id"
# Left behind, the marks on a private dashboard would be anybody's to see.
_DELETE_MARKS = "DELETE FROM annotations WHERE dashboard_id = %s"
_LIST_VERSIONS = """
SELECT version, author_id, author, message, created_ms FROM dashboard_saves
WHERE dashboard_id = %(id)s AND (%(before)s::integer IS NULL OR version < %(before)s)
ORDER BY version DESC LIMIT %(limit)s
"""
_READ_VERSION = """
SELECT version, author_id, author, message, created_ms, body FROM dashboard_saves
WHERE dashboard_id = %s AND version = %s
"""


class Dashboards:
    """Dashboards, each with its versions; what a write returned, every later read shows.

    Every method raises Unavailable when the database is away.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read(self, dashboard_id: int) -> DashboardRow | None:
        """Return a dashboard without its body, or None."""
        with self._pool.transaction() as lent:
            return _read_row(lent, _READ, dashboard_id)

    def read_by_uid(self, uid: str) -> DashboardRow | None:
        """Return the dashboard of this uid, or None."""
        with self._pool.transaction() as lent:
            return _read_row(lent, _READ_UID, uid)

    def read_whole(self, dashboard_id: int) -> tuple[DashboardRow, bytes] | None:
        """Return a dashboard with the JSON of its newest version, or None."""
        with self._pool.transaction() as lent:
            lent.execute(_READ_WHOLE, (dashboard_id,))
            for *columns, body in lent.fetchall():
                return DashboardRow(*columns), body.encode()
        return None

    def search(self, wanted: DashboardFilter, seen: Seen) -> list[DashboardRow]:
        """Return the dashboards that fit and may be seen, by title."""
        after_title, after_id = wanted.after or (None, None)
        with self._pool.transaction() as lent:
            lent.execute(
                _LIST,
                {
                    "everything": seen.everything,
                    "user_id": seen.user_id,
                    "search": wanted.search,
                    "tags": list(wanted.tags),
                    "folder": wanted.folder,
                    "owner_id": wanted.owner_id,
                    "uid": wanted.uid,
                    "after_title": after_title,
                    "after_id": after_id,
                    "limit": wanted.limit,
                },
            )
            return [DashboardRow(*row) for row in lent.fetchall()]

    def add(
        self,
        content: DashboardContent,
        *,
        owner_id: int | None,
        author: Author,
        audit: AuditEntry,
        most: int,
    ) -> DashboardRow | None:
        """Store a new dashboard as its version 1; None where the uid is another's.

        Args:
            owner_id: whose it is.
            author: who made it.
            audit: what the log of changes says.
            most: so many dashboards may there be.
        Raises:
            Conflict: there are as many as there may be.
        """
        with self._pool.transaction() as lent:
            lent.execute(_COUNT)
            if lent.fetchall()[0][0] >= most:
                raise Conflict(
                    f"there are {most} dashboards already; TIDEGAUGE_DASHBOARDS_TOTAL allows more"
                )
            lent.execute(_ADD, {**_columns_of(content), "owner_id": owner_id})
            return _add_version(lent, content.body, author, audit)

    def save(
        self,
        dashboard_id: int,
        version: int,
        content: DashboardContent,
        *,
        author: Author,
        audit: AuditEntry,
        kept: int,
    ) -> DashboardRow | None:
        """Store the next version; None where `version` is not the newest, or nothing is there.

        Args:
            version: the one that was changed.
            author: who changed it.
            audit: what the log of changes says.
            kept: so many versions stay.
        """
        changed = {**_columns_of(content), "id": dashboard_id, "version": version}
        with self._pool.transaction() as lent:
            lent.execute(_SAVE, changed)
            saved = _add_version(lent, content.body, author, audit)
            if saved is not None:
                lent.execute(_DROP_VERSIONS, (dashboard_id, saved.version - kept))
            return saved

    def delete(self, dashboard_id: int, version: int, audit: AuditEntry) -> bool:
        """Delete a dashboard, its versions and marks; return whether `version` was the newest."""
        with self._pool.transaction() as lent:
            lent.execute(_DELETE, {"id": dashboard_id, "version": version})
            deleted = bool(lent.fetchall())
            if deleted:
                lent.execute(_DELETE_MARKS, (dashboard_id,))
                write_audit(lent, audit, target=f"dashboard:{dashboard_id}")
            return deleted

    def list_versions(
        self, dashboard_id: int, *, before: int | None, limit: int
    ) -> list[VersionRow]:
        """Return the newest versions first.

        Args:
            before: only older ones than this, to turn the page; None: from the newest.
            limit: at most so many.
        """
        with self._pool.transaction() as lent:
            lent.execute(_LIST_VERSIONS, {"id": dashboard_id, "before": before, "limit": limit})
            return [VersionRow(*row) for row in lent.fetchall()]

    def read_version(self, dashboard_id: int, version: int) -> tuple[VersionRow, bytes] | None:
        """Return one version with its JSON, or None."""
        with self._pool.transaction() as lent:
            lent.execute(_READ_VERSION, (dashboard_id, version))
            for *columns, body in lent.fetchall():
                return VersionRow(*columns), body.encode()
        return None


def _read_row(lent: cursor, statement: str, key: int | str) -> DashboardRow | None:
    lent.execute(statement, (key,))
    return next((DashboardRow(*row) for row in lent.fetchall()), None)


def _columns_of(content: DashboardContent) -> dict[str, object]:
    return {
        "uid": content.uid,
        "is_public": content.is_public,
        "folder": content.folder,
        "title": content.title,
        "description": content.description,
        "tags": list(content.tags),
        "panels": content.panels,
        "last_panel": content.last_panel,
    }


def _add_version(
    lent: cursor, body: bytes, author: Author, audit: AuditEntry
) -> DashboardRow | None:
    """Record the body beside the row that the statement before returned, if it did."""
    for dashboard_id, version in lent.fetchall():
        lent.execute(
            _ADD_VERSION,
            (dashboard_id, version, body.decode(), author.user_id, author.name, author.message),
        )
        write_audit(lent, audit, target=f"dashboard:{dashboard_id}")
        return _read_row(lent, _READ, dashboard_id)
    return None
