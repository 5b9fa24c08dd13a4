"""Which dashboards came from which files, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.storage.dashboard_rows import FileRow
from tidegauge.storage.pool import Pool

_LIST = """
SELECT dashboard_id, path, digest, conflicts,
    (extract(epoch FROM loaded_at) * 1000)::bigint
FROM dashboard_files ORDER BY path
"""
_READ = """
SELECT dashboard_id, path, digest, conflicts,
    (extract(epoch FROM loaded_at) * 1000)::bigint, body::text
FROM dashboard_files WHERE dashboard_id = %s
"""
_STORE = """
INSERT INTO dashboard_files (dashboard_id, path, digest, body, conflicts)
VALUES (%(dashboard_id)s, %(path)s, %(digest)s, %(body)s, %(conflicts)s)
ON CONFLICT (dashboard_id) DO UPDATE SET
    path = excluded.path, digest = excluded.digest, body = excluded.body,
    conflicts = excluded.conflicts, loaded_at = now()
"""
_FORGET_PATH = "DELETE FROM dashboard_files WHERE path = %s AND dashboard_id <> %s"
_FORGET = "DELETE FROM dashboard_files WHERE path = %s"


class DashboardFiles:
    """Files that dashboards were loaded from; every method raises Unavailable.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read_all(self) -> list[FileRow]:
        """Return all files by path."""
        with self._pool.transaction() as lent:
            lent.execute(_LIST)
            return [FileRow(*row) for row in lent.fetchall()]

    def read(self, dashboard_id: int) -> tuple[FileRow, bytes] | None:
        """Return the file of a dashboard with the JSON that was loaded from it, or None."""
        with self._pool.transaction() as lent:
            lent.execute(_READ, (dashboard_id,))
            for *columns, body in lent.fetchall():
                return FileRow(*columns), body.encode()
        return None

    def store(
        self, dashboard_id: int, *, path: str, digest: str, body: bytes, conflicts: Sequence[str]
    ) -> None:
        """Note that a dashboard was loaded from a file, in place of any other.

        Args:
            path: below the provisioning folder.
            digest: of the file's bytes.
            body: the dashboard's JSON, as loaded.
            conflicts: places where an edit stands although the file has changed there.
        """
        with self._pool.transaction() as lent:
            lent.execute(_FORGET_PATH, (path, dashboard_id))
            lent.execute(
                _STORE,
                {
                    "dashboard_id": dashboard_id,
                    "path": path,
                    "digest": digest,
                    "body": body.decode(),
                    "conflicts": list(conflicts),
                },
            )

    def forget(self, path: str) -> None:
        """Note that a file is gone; its dashboard stays."""
        with self._pool.transaction() as lent:
            lent.execute(_FORGET, (path,))
