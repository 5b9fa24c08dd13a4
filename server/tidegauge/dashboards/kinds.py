"""Tidegauge's seven types of panels, and what each is in Grafana. Source: grafana-contract §5."""

from __future__ import annotations

import copy
from typing import Literal, get_args

from tidegauge.dashboards.grafana_json import Json, integer, obj, objects, text
from tidegauge.dashboards.grafana_upgrade import kept_of, upgrade_panel

Kind = Literal["line", "area", "bar", "gauge", "stat", "table", "heatmap"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_IN_TIME: tuple[Kind, ...] = ("line", "area", "bar")
_AREA_FROM_OPACITY = 11
_FIELDS = ("color", "decimals", "mappings", "max", "min", "noValue", "thresholds", "unit")

_REDUCE: Json = {"values": False, "calcs": ["lastNotNull"], "fields": ""}
_DRAWN: dict[str, Json] = {
    "line": {"drawStyle": "line", "fillOpacity": 0, "gradientMode": "none"},
    "area": {"drawStyle": "line", "fillOpacity": 30, "gradientMode": "opacity"},
    "bar": {"drawStyle": "bars", "fillOpacity": 90, "gradientMode": "none", "barAlignment": 0},
}
_CURVE: Json = {
    "lineInterpolation": "linear",
    "lineWidth": 1,
    "showPoints": "never",
    "spanNulls": False,
    "stacking": {"mode": "none", "group": "A"},
    "thresholdsStyle": {"mode": "off"},
}
_TIME_OPTIONS: Json = {
    "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
    "tooltip": {"mode": "multi", "sort": "desc"},
}
_OPTIONS: dict[str, Json] = {
    "gauge": {
        "reduceOptions": _REDUCE,
        "orientation": "auto",
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
    },
    "stat": {
        "reduceOptions": _REDUCE,
        "orientation": "auto",
        "graphMode": "area",
        "colorMode": "value",
        "justifyMode": "auto",
        "textMode": "auto",
    },
    "table": {"showHeader": True},
    "heatmap": {"calculate": False, "yAxis": {"axisPlacement": "left"}},
}
_ASKED: dict[str, Json] = {
    "gauge": {"format": "time_series", "instant": True, "range": False},
    "table": {"format": "table", "instant": True, "range": False},
    "heatmap": {"format": "heatmap", "instant": False, "range": True},
}
_ASKED_OVER_TIME: Json = {"format": "time_series", "instant": False, "range": True}


def kind_of(panel: Json) -> str:
    """Return the type of a Grafana panel: one of KINDS, or Grafana's own name for other panels."""
    modern = upgrade_panel(panel)
    kind = text(modern.get("type"))
    if kind == "timeseries":
        custom = obj(obj(obj(modern.get("fieldConfig")).get("defaults")).get("custom"))
        if custom.get("drawStyle") == "bars":
            return "bar"
        return "area" if integer(custom.get("fillOpacity")) >= _AREA_FROM_OPACITY else "line"
    return "bar" if kind in ("barchart", "bargauge") else kind


def target_flags(kind: str) -> Json:
    """Return how a panel of this type asks: over a range or at one moment, and in which form."""
    return dict(_ASKED.get(kind, _ASKED_OVER_TIME))


def with_kind(panel: Json, kind: Kind) -> Json:
    """Return a panel shown as another type: its queries, place, unit and limits stay."""
    if kind_of(panel) == kind:
        return panel
    modern = upgrade_panel(panel)
    defaults = obj(obj(modern.get("fieldConfig")).get("defaults"))
    overrides = objects(obj(modern.get("fieldConfig")).get("overrides"))
    # From a line to an area nothing else changes.
    stays = modern.get("type") == "timeseries" and kind in _IN_TIME
    if not stays:
        modern = {**kept_of(modern), "type": "timeseries" if kind in _IN_TIME else kind}
        defaults = {key: defaults[key] for key in _FIELDS if key in defaults}
        overrides = []
    made = copy.deepcopy(modern)
    made["fieldConfig"] = {"defaults": copy.deepcopy(defaults), "overrides": overrides}
    if kind in _IN_TIME:
        custom = {**_CURVE, **obj(defaults.get("custom")), **_DRAWN[kind]}
        made["fieldConfig"]["defaults"]["custom"] = copy.deepcopy(custom)
    if not stays:
        made["options"] = copy.deepcopy(_OPTIONS.get(kind, _TIME_OPTIONS))
    for target in objects(made.get("targets")):
        if "expr" in target:
            target.update(target_flags(kind))
    return made


def new_panel(number: int, kind: Kind, datasource: Json) -> Json:
    """Return a panel of this type without a query.

    Args:
        number: its id.
        kind: its type.
        datasource: Grafana's reference to the data source.
    """
    empty = {"id": number, "type": "", "title": "", "datasource": datasource, "targets": []}
    return {**with_kind(empty, kind), "id": number}
