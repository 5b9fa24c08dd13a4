"""The saved versions of dashboards: listed, shown, compared, brought back."""

from __future__ import annotations

import orjson

from tidegauge.dashboards.access import Sender
from tidegauge.dashboards.grafana_diff import Change, diff_dashboards
from tidegauge.dashboards.grafana_json import Json
from tidegauge.dashboards.guarded import guarded
from tidegauge.dashboards.reads import Dashboard
from tidegauge.dashboards.service import DashboardService, Expected
from tidegauge.errors import NotFound
from tidegauge.storage.dashboard_rows import VersionRow
from tidegauge.storage.dashboards import Dashboards


class HistoryService:
    """Knows the versions of dashboards; raises as `DashboardService` does.

    Args:
        store: the record.
        dashboards: the service of the dashboards themselves.
    """

    def __init__(self, *, store: Dashboards, dashboards: DashboardService) -> None:
        self._store, self._dashboards = store, dashboards
        self.breaker = dashboards.breaker

    @guarded
    def versions(
        self, sender: Sender, dashboard_id: int, *, before: int | None, limit: int
    ) -> list[VersionRow]:
        """Return the versions, newest first.

        Args:
            before: only older ones than this; None: from the newest.
            limit: at most so many.
        """
        row = self._dashboards.find_row(sender, dashboard_id)
        return self._store.list_versions(row.id, before=before, limit=limit)

    @guarded
    def read(self, sender: Sender, dashboard_id: int, version: int) -> tuple[VersionRow, Json]:
        """Return one version with its document."""
        return self._read(sender, dashboard_id, version)

    @guarded
    def diff(self, sender: Sender, dashboard_id: int, *, old: int, new: int) -> list[Change]:
        """Return what two versions differ in, without noise."""
        _, before = self._read(sender, dashboard_id, old)
        _, after = self._read(sender, dashboard_id, new)
        return diff_dashboards(before, after)

    @guarded
    def restore(
        self,
        sender: Sender,
        dashboard_id: int,
        version: int,
        expected: Expected | None,
        message: str,
    ) -> Dashboard:
        """Store an earlier version anew, as the next one; owner, folder and readers stay.

        Raises:
            StaleVersion.
        """
        _, document = self._read(sender, dashboard_id, version)
        said = {"message": message or f"as version {version}"}

        def change(_held: Dashboard) -> Json:
            return document

        return self._dashboards.change(sender, dashboard_id, change, expected, said, is_whole=True)

    def _read(self, sender: Sender, dashboard_id: int, version: int) -> tuple[VersionRow, Json]:
        row = self._dashboards.find_row(sender, dashboard_id)
        found = self._store.read_version(row.id, version) if 0 < version <= row.version else None
        if found is None:
            raise NotFound(f"there is no version {version} of dashboard {row.id}, or none any more")
        return found[0], orjson.loads(found[1])
