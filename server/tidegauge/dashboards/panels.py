"""Single panels of dashboards, for whoever may change these.

A panel's id is made of its dashboard's and its own number on it: `12-3`. None is given twice.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass

from tidegauge.dashboards.access import Sender
from tidegauge.dashboards.dashboard_view import add_panel, find_panel, replace_panel
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.grafana_json import ROW, Json, objects
from tidegauge.dashboards.grid import find_room
from tidegauge.dashboards.guarded import guarded
from tidegauge.dashboards.panel_view import apply_panel, position_of
from tidegauge.dashboards.reads import Dashboard
from tidegauge.dashboards.service import DashboardService, Expected
from tidegauge.errors import NotFound

NEW_WIDTH, NEW_HEIGHT = 12, 8
"""The size of a panel that comes without a position."""

_ID = re.compile(r"([1-9]\d{0,9})-([1-9]\d{0,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PanelId:
    """A panel: the id of its dashboard, and its number there."""

    dashboard_id: int
    number: int

    def __str__(self) -> str:
        return f"{self.dashboard_id}-{self.number}"

    @classmethod
    def parse(cls, text: str) -> PanelId:
        """Return what an id says.

        Raises:
            NotFound: it is none.
        """
        found = _ID.fullmatch(text)
        if found is None:
            raise NotFound(f'there is no panel "{text[:64]}"')
        return cls(int(found[1]), int(found[2]))


class PanelService:
    """Adds, changes and takes away panels; raises as `DashboardService` does.

    Args:
        dashboards: the service of what they lie on.
    """

    def __init__(self, *, dashboards: DashboardService) -> None:
        self._dashboards = dashboards
        self.breaker = dashboards.breaker

    @guarded
    def add(
        self, sender: Sender, dashboard_id: int, fields: Json, expected: Expected | None
    ) -> tuple[Dashboard, PanelId]:
        """Put a new panel on a dashboard.

        Args:
            fields: as `panel_view.view_panel` shows them; without a position it gets a free one.
            expected: the version it is added to; None: whatever is the newest.
        Raises:
            InvalidDashboard, PayloadTooLarge, StaleVersion.
        """
        given: list[int] = []

        def change(held: Dashboard) -> Json:
            document = {**held.document}
            number = held.row.last_panel + 1
            given[:] = [number]
            placed = fields if "position" in fields else {**fields, "position": _room(document)}
            add_panel(
                document, placed, datasource=self._dashboards.datasource, number=number, path=""
            )
            return document

        said = {"message": fields.get("message", "")}
        made = self._dashboards.change(sender, dashboard_id, change, expected, said)
        return made, PanelId(dashboard_id, given[0])

    @guarded
    def update(
        self, sender: Sender, panel_id: PanelId, fields: Json, expected: Expected | None
    ) -> Dashboard:
        """Change a panel; what `fields` leave out stays.

        Raises:
            InvalidDashboard, PayloadTooLarge, StaleVersion.
        """
        datasource = self._dashboards.datasource

        def change(panel: Json) -> Json:
            return apply_panel(panel, fields, datasource=datasource, path="")

        message = fields.get("message", "")
        return self._replace(sender, panel_id, change, expected, message)

    @guarded
    def delete(self, sender: Sender, panel_id: PanelId, expected: Expected | None) -> Dashboard:
        """Take a panel away.

        Raises:
            InvalidDashboard: it is a row with panels in it.
            StaleVersion.
        """

        def change(panel: Json) -> None:
            if panel.get("type") == ROW and objects(panel.get("panels")):
                raise InvalidDashboard("", f"row {panel_id} holds panels; take these away first")

        return self._replace(sender, panel_id, change, expected, "")

    def _replace(
        self,
        sender: Sender,
        panel_id: PanelId,
        change: Callable[[Json], Json | None],
        expected: Expected | None,
        message: str,
    ) -> Dashboard:
        def replaced(held: Dashboard) -> Json:
            document = copy.deepcopy(held.document)
            panel = find_panel(document, panel_id.number)
            if panel is None:
                raise NotFound(f"there is no panel {panel_id}")
            replace_panel(document, panel_id.number, change(panel))
            return document

        said = {"message": message}
        return self._dashboards.change(sender, panel_id.dashboard_id, replaced, expected, said)


def _room(document: Json) -> Json:
    taken = [position_of(panel) for panel in objects(document.get("panels"))]
    place = find_room(taken, NEW_WIDTH, NEW_HEIGHT)
    return {"x": place.x, "y": place.y, "w": place.w, "h": place.h}
