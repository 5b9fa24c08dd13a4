"""The names of all metrics, held in memory: there are few of them, and every query asks."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from psycopg2.extensions import cursor

from tidegauge.model.matchers import Matcher
from tidegauge.storage.catalogue_version import CatalogueVersion

_READ = "SELECT id, name FROM metric_definitions WHERE id > %s ORDER BY id"


class MetricNames:
    """Knows the id of every metric that has series, by its name; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[str, int] = {}
        self._read_at = CatalogueVersion(version=-1, last_series_id=-1)
        self._last_id = 0

    def find_ids(
        self, lent: cursor, version: CatalogueVersion, matchers: Sequence[Matcher]
    ) -> list[int]:
        """Return the ids of the metrics whose name passes all matchers.

        Args:
            version: the state of the catalogue that must be covered.
            matchers: on the name, one at least.
        """
        with self._lock:
            self._refresh(lent, version)
            wanted = next((found for one in matchers if (found := one.alternatives())), None)
            names = self._ids if wanted is None else [name for name in wanted if name in self._ids]
            return sorted(
                {self._ids[name] for name in names if all(one.matches(name) for one in matchers)}
            )

    def _refresh(self, lent: cursor, version: CatalogueVersion) -> None:
        if version.version != self._read_at.version:
            self._ids, self._last_id = {}, 0
        elif version.last_series_id <= self._read_at.last_series_id:
            return
        lent.execute(_READ, (self._last_id,))
        for metric_id, name in lent.fetchall():
            self._ids[name] = metric_id
            self._last_id = metric_id
        self._read_at = version
