"""Reading dashboards, through a cache that never shows what is no longer so.

A dashboard's row, which is short, is read from the database each time; only the JSON of its newest
version may come from the cache, and only if it is that version. Versions never change.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from tidegauge.cache.protocol import Cache
from tidegauge.dashboards.grafana_json import Json
from tidegauge.storage.dashboard_rows import DashboardRow
from tidegauge.storage.dashboards import Dashboards


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard: its row, and classic Grafana JSON, which is the reader's own."""

    row: DashboardRow
    document: Json


class DashboardReads:
    """Reads dashboards as they are at this moment, in every process.

    Args:
        store: where they are.
        cache: keeps JSON that was read.
        ttl_s: how long; 0: nothing is kept.
    """

    def __init__(self, *, store: Dashboards, cache: Cache, ttl_s: int) -> None:
        self._store, self._cache, self._ttl_s = store, cache, ttl_s

    def read(self, row: DashboardRow) -> Dashboard | None:
        """Return the dashboard behind a row that was read just now; None where it went meanwhile.

        Raises:
            Unavailable.
        """
        if self._ttl_s:
            held = self._cache.get(_key(row.id))
            document = _parse(held, row.version) if held is not None else None
            if document is not None:
                return Dashboard(row, document)
        found = self._store.read_whole(row.id)
        if found is None:
            return None
        newest, body = found
        if self._ttl_s:
            self._cache.set(_key(row.id), _mark(newest.version) + body, ttl_s=self._ttl_s)
        return Dashboard(newest, orjson.loads(body))

    def forget(self, dashboard_id: int) -> None:
        """Drop what is kept of a dashboard: it was saved or deleted."""
        if self._ttl_s:
            self._cache.delete(_key(dashboard_id))


def _key(dashboard_id: int) -> str:
    return f"cache:dashboard:{dashboard_id}"


def _mark(version: int) -> bytes:
    return b"%d:" % version


def _parse(held: bytes, version: int) -> Json | None:
    mark = _mark(version)
    if not held.startswith(mark):
        return None
    try:
        document = orjson.loads(held[len(mark) :])
    except orjson.JSONDecodeError:
        # Somebody else wrote it, or half of it was lost: the database has it whole.
        return None
    return document if isinstance(document, dict) else None
