"""Panels of the old kinds as the panels that took their place.

Used to see what an old panel shows, and to change how it shows it; a panel that nobody changes
stays what it was. Source: grafana-contract §5; Grafana's own migrations of these panels.
"""

from __future__ import annotations

import re
from typing import Any

from tidegauge.dashboards.grafana_json import Json, integer, obj, objects, text

_KEPT = frozenset(
    {
        "cacheTimeout",
        "datasource",
        "description",
        "gridPos",
        "hideTimeOverride",
        "id",
        "interval",
        "links",
        "maxDataPoints",
        "maxPerRow",
        "minSpan",
        "repeat",
        "repeatDirection",
        "targets",
        "timeFrom",
        "timeShift",
        "title",
        "transformations",
        "transparent",
    }
)
_CALCULATIONS = {
    "avg": "mean",
    "current": "lastNotNull",
    "delta": "delta",
    "diff": "diff",
    "first": "first",
    "max": "max",
    "min": "min",
    "name": "lastNotNull",
    "range": "range",
    "total": "sum",
}
_SORTS = {0: "none", 1: "asc", 2: "desc"}


def upgrade_panel(panel: Json) -> Json:
    """Return a panel of one of today's kinds; what is one already comes back as it is."""
    upgrade = {
        "graph": _from_graph,
        "singlestat": _from_singlestat,
        "table-old": _from_old_table,
    }.get(text(panel.get("type")))
    return upgrade(panel) if upgrade is not None else panel


def kept_of(panel: Json) -> Json:
    """Return what of a panel is the same for every kind: its place, its queries, its title."""
    return {key: value for key, value in panel.items() if key in _KEPT}


def to_number(value: Any) -> float | int | None:
    """Return a number that old panels may have written as text, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,15}(\.\d{1,15})?\s*", value):
        number = float(value)
        return int(number) if number.is_integer() else number
    return None


def _from_graph(panel: Json) -> Json:
    axis = obj(next(iter(objects(panel.get("yaxes"))), {}))
    lines = panel.get("lines") is not False
    style = "bars" if panel.get("bars") else "line" if lines else "points"
    stacking = "none"
    if panel.get("stack"):
        stacking = "percent" if panel.get("percentage") else "normal"
    custom = {
        "drawStyle": style,
        "lineInterpolation": "stepAfter" if panel.get("steppedLine") else "linear",
        "lineWidth": integer(panel.get("linewidth"), 1),
        "fillOpacity": 100
        if style == "bars"
        else min(100, 10 * max(0, integer(panel.get("fill"), 1))),
        "showPoints": "always" if panel.get("points") else "never",
        "spanNulls": panel.get("nullPointMode") == "connected",
        "stacking": {"mode": stacking, "group": "A"},
    }
    defaults: Json = {"custom": custom, **_limits(axis, panel)}
    if text(axis.get("format")):
        defaults["unit"] = axis["format"]
    legend, tooltip = obj(panel.get("legend")), obj(panel.get("tooltip"))
    return {
        **kept_of(panel),
        "type": "timeseries",
        "fieldConfig": {"defaults": defaults, "overrides": _overrides(panel)},
        "options": {
            "legend": {
                "displayMode": "table" if legend.get("alignAsTable") else "list",
                "placement": "right" if legend.get("rightSide") else "bottom",
                "showLegend": legend.get("show") is not False,
                "calcs": [new for old, new in _CALCULATIONS.items() if legend.get(old) is True],
            },
            "tooltip": {
                "mode": "single" if tooltip.get("shared") is False else "multi",
                "sort": _SORTS.get(integer(tooltip.get("sort")), "none"),
            },
        },
    }


def _limits(axis: Json, panel: Json) -> Json:
    found = {
        "min": to_number(axis.get("min")),
        "max": to_number(axis.get("max")),
        "decimals": to_number(panel.get("decimals")),
    }
    return {key: value for key, value in found.items() if value is not None}


def _overrides(panel: Json) -> list[Json]:
    found = [
        _override(alias, {"id": "color", "value": {"mode": "fixed", "fixedColor": color}})
        for alias, color in obj(panel.get("aliasColors")).items()
        if isinstance(color, str)
    ]
    for one in objects(panel.get("seriesOverrides")):
        properties: list[Json] = []
        if one.get("yaxis") == 2:
            properties.append({"id": "custom.axisPlacement", "value": "right"})
        if one.get("transform") == "negative-Y":
            properties.append({"id": "custom.transform", "value": "negative-Y"})
        if text(one.get("color")):
            fixed = {"mode": "fixed", "fixedColor": one["color"]}
            properties.append({"id": "color", "value": fixed})
        if properties and text(one.get("alias")):
            found.append(_override(one["alias"], *properties))
    return found


def _override(alias: str, *properties: Json) -> Json:
    is_regex = len(alias) > 2 and alias.startswith("/") and alias.rstrip("i").endswith("/")
    matcher = {"id": "byRegexp" if is_regex else "byName", "options": alias}
    return {"matcher": matcher, "properties": list(properties)}


def _from_singlestat(panel: Json) -> Json:
    gauge = obj(panel.get("gauge"))
    defaults: Json = _limits({}, panel)
    if text(panel.get("format")):
        defaults["unit"] = panel["format"]
    if gauge.get("show"):
        defaults["min"] = to_number(gauge.get("minValue")) or 0
        defaults["max"] = to_number(gauge.get("maxValue")) or 100
    steps = _steps(text(panel.get("thresholds")), panel.get("colors"))
    if steps:
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    mappings = {
        text(one.get("value")): {"text": text(one.get("text"))}
        for one in objects(panel.get("valueMaps"))
    }
    defaults["mappings"] = [{"type": "value", "options": mappings}] if mappings else []
    calculation = _CALCULATIONS.get(text(panel.get("valueName")), "mean")
    options: Json = {
        "reduceOptions": {"values": False, "calcs": [calculation], "fields": ""},
        "orientation": "auto",
    }
    if gauge.get("show"):
        options |= {"showThresholdLabels": False, "showThresholdMarkers": True}
    else:
        coloured = "background" if panel.get("colorBackground") else "value"
        shown = bool(panel.get("colorBackground") or panel.get("colorValue"))
        options |= {
            "colorMode": coloured if shown else "none",
            "graphMode": "area" if obj(panel.get("sparkline")).get("show") else "none",
            "justifyMode": "auto",
            "textMode": "auto",
        }
    return {
        **kept_of(panel),
        "type": "gauge" if gauge.get("show") else "stat",
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }


def _steps(thresholds: str, colors: Any) -> list[Json]:
    values = [to_number(part) for part in thresholds.split(",") if part.strip()]
    names = [one for one in colors if isinstance(one, str)] if isinstance(colors, list) else []
    # Grafana draws what is below the first threshold in the first colour.
    return [
        {"value": value, "color": color}
        for value, color in zip([None, *values], names, strict=False)
    ]


def _from_old_table(panel: Json) -> Json:
    return {
        **kept_of(panel),
        "type": "table",
        "fieldConfig": {"defaults": {"custom": {}}, "overrides": []},
        "options": {"showHeader": panel.get("showHeader") is not False},
    }
