"""A dashboard as Tidegauge's API shows it, and what is sent put back into Grafana's JSON."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.grafana_json import (
    ROW,
    Json,
    all_panels,
    integer,
    obj,
    objects,
    text,
)
from tidegauge.dashboards.grafana_queries import query_of_variable
from tidegauge.dashboards.kinds import KINDS, new_panel
from tidegauge.dashboards.panel_view import apply_panel, view_panel

VARIABLE_TYPES = ("query", "custom", "interval", "constant", "textbox", "datasource", "adhoc")
_HIDDEN = 2

NEW: Json = {
    "id": None,
    "title": "",
    "tags": [],
    "timezone": "browser",
    "editable": True,
    "graphTooltip": 1,
    "schemaVersion": 39,
    "refresh": "",
    "time": {"from": "now-1h", "to": "now"},
    "timepicker": {},
    "links": [],
    "templating": {"list": []},
    "annotations": {
        "list": [
            {
                "builtIn": 1,
                "datasource": {"type": "grafana", "uid": "-- Grafana --"},
                "enable": True,
                "hide": True,
                "iconColor": "rgba(0, 211, 255, 1)",
                "name": "Annotations & Alerts",
                "type": "dashboard",
            }
        ]
    },
    "panels": [],
}
"""A dashboard without anything on it."""


def view_dashboard(document: Json) -> Json:
    """Return a dashboard as the API shows it: title, description, tags, time, refresh, variables,
    panels. Panels and rows stand one after another; those of a collapsed row name it.
    """
    time = obj(document.get("time"))
    return {
        "title": text(document.get("title")),
        "description": text(document.get("description")),
        "tags": tags_of(document),
        "time": {"from": text(time.get("from")), "to": text(time.get("to"))},
        "refresh": text(document.get("refresh")),
        "variables": [
            _view_variable(one) for one in objects(obj(document.get("templating")).get("list"))
        ],
        "panels": [view_panel(panel, row=row) for row, panel in _panels_with_row(document)],
    }


def tags_of(document: Json) -> list[str]:
    """Return the tags of a dashboard."""
    tags = document.get("tags")
    return [one for one in tags if isinstance(one, str)] if isinstance(tags, list) else []


def apply_dashboard(document: Json, fields: Json, *, datasource: Json, last_panel: int) -> Json:
    """Return a dashboard with the fields that were sent and differ.

    Args:
        document: Grafana's JSON; left as it is.
        fields: of those that `view_dashboard` shows; what is missing stays.
        datasource: Grafana's reference to the data source, for new queries.
        last_panel: the highest panel id there ever was; new ones come behind it.
    Raises:
        InvalidDashboard: something does not go together.
    """
    made = copy.deepcopy(document)
    shown = view_dashboard(document)
    wanted = {key: value for key, value in fields.items() if shown.get(key) != value}
    for key in ("title", "description", "tags", "refresh"):
        if key in wanted:
            made[key] = wanted[key]
    if "time" in wanted:
        made["time"] = {**obj(made.get("time")), **wanted["time"]}
    if "variables" in wanted:
        templating = made["templating"] = obj(made.get("templating"))
        templating["list"] = _apply_variables(objects(templating.get("list")), wanted["variables"])
    if "panels" in wanted:
        _apply_panels(made, wanted["panels"], datasource, last_panel)
    return made


def add_panel(document: Json, fields: Json, *, datasource: Json, number: int, path: str) -> Json:
    """Return a new panel, put on a dashboard at the end.

    Args:
        document: changed.
        fields: of those that `view_panel` shows.
        number: the id it gets.
        datasource, path: as `apply_panel`.
    """
    kind = fields.get("type")
    if kind not in KINDS:
        raise InvalidDashboard(f"{path}.type", f'"{kind}" is none of {", ".join(KINDS)}')
    panel = apply_panel(
        new_panel(number, kind, datasource), fields, datasource=datasource, path=path
    )
    document["panels"] = [*objects(document.get("panels")), panel]
    return panel


def replace_panel(document: Json, number: int, panel: Json | None) -> None:
    """Put another panel in the place of the one of this id; None takes it away."""

    here = [] if panel is None else [panel]

    def replaced(panels: list[Json]) -> list[Json]:
        return [
            made for one in panels for made in (here if integer(one.get("id")) == number else [one])
        ]

    document["panels"] = replaced(objects(document.get("panels")))
    for row in document["panels"]:
        if row.get("type") == ROW and "panels" in row:
            row["panels"] = replaced(objects(row["panels"]))


def find_panel(document: Json, number: int) -> Json | None:
    """Return the panel of this id, or None."""
    for _, panel in all_panels(document):
        if integer(panel.get("id")) == number:
            return panel
    return None


def _panels_with_row(document: Json) -> Iterator[tuple[int | None, Json]]:
    for panel in objects(document.get("panels")):
        yield None, panel
        for inner in objects(panel.get("panels")):
            yield integer(panel.get("id")), inner


def _apply_panels(document: Json, wanted: list[Json], datasource: Json, last: int) -> None:
    held = {integer(panel.get("id")) for _, panel in all_panels(document)}
    kept: set[int] = set()
    for place, fields in enumerate(wanted):
        number = fields.get("id")
        if number is None:
            continue
        if number not in held:
            raise InvalidDashboard(
                f"panels[{place}].id", f"there is no panel {number}; leave the id out of a new one"
            )
        if number in kept:
            raise InvalidDashboard(f"panels[{place}].id", f"panel {number} stands there twice")
        kept.add(number)
    _check_rows(document, kept)
    for number in held - kept:
        replace_panel(document, number, None)
    for place, fields in enumerate(wanted):
        path = f"panels[{place}]"
        panel = None if fields.get("id") is None else find_panel(document, fields["id"])
        if panel is None:
            last += 1
            add_panel(document, fields, datasource=datasource, number=last, path=path)
        else:
            made = apply_panel(panel, fields, datasource=datasource, path=path)
            replace_panel(document, fields["id"], made)


def _check_rows(document: Json, kept: set[int]) -> None:
    for row, panel in _panels_with_row(document):
        number = integer(panel.get("id"))
        if row is not None and number in kept and row not in kept:
            raise InvalidDashboard(
                "panels", f"panel {number} lies in row {row}, which the list leaves out"
            )


def _view_variable(variable: Json) -> Json:
    query: Any = query_of_variable(variable)
    return {
        "name": text(variable.get("name")),
        "label": text(variable.get("label")),
        "type": text(variable.get("type")),
        "query": query,
        "multi": variable.get("multi") is True,
        "include_all": variable.get("includeAll") is True,
        "all_value": text(variable.get("allValue")),
        "hidden": variable.get("hide") == _HIDDEN,
    }


def _apply_variables(held: list[Json], wanted: list[Json]) -> list[Json]:
    # Shared dashboards do have variables of one name twice; the last one counts in Grafana.
    by_name: dict[str, list[Json]] = {}
    for one in held:
        by_name.setdefault(text(one.get("name")), []).append(one)
    made: list[Json] = []
    for place, fields in enumerate(wanted):
        name = fields["name"]
        known = by_name[name].pop(0) if by_name.get(name) else None
        if known is None and any(one.get("name") == name for one in made):
            raise InvalidDashboard(f"variables[{place}].name", f'"{name}" stands there twice')
        kind = fields.get("type", known.get("type") if known else "query")
        if kind not in VARIABLE_TYPES and (known is None or known.get("type") != kind):
            raise InvalidDashboard(
                f"variables[{place}].type", f'"{kind}" is none of {", ".join(VARIABLE_TYPES)}'
            )
        made.append(_apply_variable(known or _new_variable(name, kind), {**fields, "type": kind}))
    return made


def _new_variable(name: str, kind: str) -> Json:
    return {"name": name, "type": kind, "query": "", "current": {}, "options": []} | (
        {"refresh": 2} if kind in ("query", "interval") else {}
    )


def _apply_variable(variable: Json, fields: Json) -> Json:
    shown = _view_variable(variable)
    wanted = {key: value for key, value in fields.items() if shown.get(key) != value}
    keys = {"multi": "multi", "include_all": "includeAll", "all_value": "allValue"}
    for key, there in {**keys, "label": "label", "type": "type"}.items():
        if key in wanted:
            variable[there] = wanted[key]
    if "hidden" in wanted:
        variable["hide"] = _HIDDEN if wanted["hidden"] else 0
    if "query" in wanted:
        query = variable.get("query")
        inside = isinstance(query, dict)
        variable["query"] = {**obj(query), "query": wanted["query"]} if inside else wanted["query"]
        if variable.get("type") == "query":
            variable["definition"] = wanted["query"]
    return variable
