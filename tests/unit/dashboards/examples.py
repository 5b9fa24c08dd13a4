"""Grafana dashboards as people share them, cut down to what the tests look at."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
PROMETHEUS = {"type": "prometheus", "uid": "prom"}


def panel(number: int, *queries: str, **more: Any) -> Json:
    """Return a panel that asks these queries."""
    targets = [
        {"refId": chr(ord("A") + place), "expr": query, "datasource": PROMETHEUS}
        for place, query in enumerate(queries)
    ]
    place = {"x": 0, "y": 8 * number, "w": 12, "h": 8}
    made = {"id": number, "type": "timeseries", "title": f"Panel {number}", "gridPos": place}
    return {**made, "datasource": PROMETHEUS, "targets": targets, **more}


def dashboard(*panels: Json, **more: Any) -> Json:
    """Return a dashboard of these panels."""
    return {"title": "Example", "schemaVersion": 39, "panels": list(panels), **more}


def variable(name: str, kind: str = "query", query: Any = "", **more: Any) -> Json:
    """Return a variable."""
    return {"name": name, "type": kind, "query": query, **more}


def with_variables(document: Json, *variables: Json) -> Json:
    """Return the dashboard with these variables."""
    return {**document, "templating": {"list": list(variables)}}


SHARED = {
    "__inputs": [
        {"name": "DS_PROM", "type": "datasource", "pluginId": "prometheus"},
        {"name": "VAR_JOB", "type": "constant", "value": "node"},
        {"name": "DS_LOGS", "type": "datasource", "pluginId": "loki"},
    ],
    "__requires": [{"type": "panel", "id": "graph", "name": "Graph", "version": ""}],
    "__elements": {"lib1": {"uid": "lib1", "kind": 1, "model": panel(99, "up", title="Shared")}},
    "title": "Shared",
    "uid": "shared",
    "id": 17,
    "schemaVersion": 36,
    "panels": [
        {
            "id": 1,
            "type": "graph",
            "datasource": "${DS_PROM}",
            "title": "Of ${VAR_JOB} and ${unknown}",
            "gridPos": {"x": 0, "y": 0, "w": 24, "h": 8},
            "targets": [{"refId": "A", "expr": 'up{job="$job"}'}],
        },
        {
            "id": 2,
            "gridPos": {"x": 0, "y": 8, "w": 24, "h": 8},
            "libraryPanel": {"uid": "lib1", "name": "Shared"},
        },
        {
            "id": 3,
            "type": "logs",
            "datasource": {"type": "loki", "uid": "${DS_LOGS}"},
            "targets": [{"refId": "A", "expr": '{app="x"} |= "error"'}],
            "gridPos": {"x": 0, "y": 16, "w": 24, "h": 8},
        },
    ],
}

OLD_ROWS = {
    "title": "From 2016",
    "schemaVersion": 12,
    "editable": False,
    "rows": [
        {
            "title": "First",
            "showTitle": True,
            "height": "250px",
            "panels": [
                {"id": 1, "type": "singlestat", "span": 3, "targets": [{"expr": "up"}]},
                {"id": 2, "type": "graph", "span": 6, "targets": [{"expr": "rate(a[1m])"}]},
                {"id": 3, "type": "graph", "span": 6, "height": 380, "targets": []},
            ],
        },
        {
            "title": "Second",
            "collapse": True,
            "repeat": "host",
            "panels": [{"id": 4, "type": "table-old", "span": 12, "targets": [{"expr": "b"}]}],
        },
    ],
}
