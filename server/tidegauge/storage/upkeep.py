"""What an operator watches of the database itself: its size, its disk, its widest metrics."""

from __future__ import annotations

import shutil
from pathlib import Path

from psycopg2.extensions import parse_dsn

from tidegauge.storage.pool import Pool

_AT_MOST_S = 10.0

_LARGEST = """
WITH largest AS (
    SELECT metric_id, count(*) AS series FROM series
    GROUP BY metric_id ORDER BY count(*) DESC, metric_id LIMIT %s
)
SELECT name, series FROM largest JOIN metric_definitions AS metric ON metric.id = metric_id
ORDER BY series DESC, name
"""
_SIZE = "SELECT pg_database_size(current_database())"


class Upkeep:
    """Looks at the database as a whole; safe to use from many threads.

    Args:
        pool: connections.
    """

    def __init__(self, *, pool: Pool) -> None:
        self._pool = pool

    def read_largest_metrics(self, limit: int) -> dict[str, int]:
        """Return the metrics with the most series, and how many each has, the largest first.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_LARGEST, (limit,))
            return dict(lent.fetchall())

    def read_size_bytes(self) -> int:
        """Return the size of the whole database.

        Raises:
            Unavailable.
        """
        with self._pool.transaction(at_most_s=_AT_MOST_S) as lent:
            lent.execute(_SIZE)
            (size,) = lent.fetchall()[0]
            return int(size)


def find_disk(data_dir: str, url: str) -> tuple[int, int]:
    """Return size and free bytes of the file system of our own PostgreSQL; (0, 0): not known.

    Args:
        data_dir: where `tidegauge up` keeps one.
        url: the database in use; it is that one where its socket says so.
    """
    cluster = Path(data_dir) / "postgres"
    try:
        sockets = (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()[4]
        if parse_dsn(url).get("host") != sockets:
            return 0, 0
        usage = shutil.disk_usage(cluster)
    except (OSError, UnicodeDecodeError, IndexError):
        return 0, 0
    return usage.total, usage.free
