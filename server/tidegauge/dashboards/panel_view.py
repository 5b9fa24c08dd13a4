"""A panel as Tidegauge's API shows it, and what is sent put back into Grafana's JSON.

Only what is sent and differs is put back: all that the API does not show stays as it was.
"""

from __future__ import annotations

import copy
from typing import Any

from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.grafana_json import ROW, Json, integer, obj, objects, text
from tidegauge.dashboards.grafana_upgrade import upgrade_panel
from tidegauge.dashboards.grid import Position
from tidegauge.dashboards.kinds import KINDS, kind_of, target_flags, with_kind

_SHOWN_IN = ("unit", "decimals", "min", "max")
_STACKED = ("none", "normal", "percent")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def view_panel(panel: Json, *, row: int | None = None) -> Json:
    """Return a panel as the API shows it.

    Args:
        panel: Grafana's JSON.
        row: the id of the collapsed row it lies in.
    Returns:
        id, type, title, description, position, row, query, legend, more_queries, unit, decimals,
        min, max, thresholds, stacked.
    """
    modern = upgrade_panel(panel)
    defaults = obj(obj(modern.get("fieldConfig")).get("defaults"))
    first, *others = _asking(panel) or [{}]
    return {
        "id": integer(panel.get("id")),
        "type": kind_of(panel),
        "title": text(panel.get("title")),
        "description": text(panel.get("description")),
        "position": _view_position(position_of(panel)),
        "row": row,
        "query": text(first.get("expr")),
        "legend": text(first.get("legendFormat")),
        "more_queries": [_view_query(one) for one in others],
        **{key: defaults.get(key) for key in _SHOWN_IN},
        "unit": text(defaults.get("unit")),
        "thresholds": [
            {"value": one.get("value"), "color": text(one.get("color"))}
            for one in objects(obj(defaults.get("thresholds")).get("steps"))
        ],
        "stacked": _stacked(modern),
    }


def position_of(panel: Json) -> Position:
    """Return where a panel lies."""
    place = obj(panel.get("gridPos"))
    x, y, w, h = (integer(place.get(key)) for key in "xywh")
    return Position(x, y, w, h)


def apply_panel(panel: Json, fields: Json, *, datasource: Json, path: str) -> Json:
    """Return a panel with the fields that were sent and differ.

    Args:
        panel: Grafana's JSON; left as it is.
        fields: of those that `view_panel` shows; `id` and `row` are not looked at.
        datasource: Grafana's reference to the data source, for new queries.
        path: the panel's place in what was sent, for errors.
    Raises:
        InvalidDashboard: this panel cannot be shown that way.
    """
    shown = view_panel(panel)
    wanted = {key: value for key, value in fields.items() if shown.get(key) != value}
    made = copy.deepcopy(panel)
    if "type" in wanted:
        made = _change_type(made, wanted["type"], path)
    for key in ("title", "description"):
        if key in wanted:
            made[key] = wanted[key]
    if "position" in wanted:
        made["gridPos"] = {**obj(made.get("gridPos")), **wanted["position"]}
    _apply_queries(made, wanted, datasource, path)
    if wanted.keys() & {*_SHOWN_IN, "thresholds", "stacked"}:
        made = _apply_display(made, wanted, path)
    return made


def _view_position(place: Position) -> Json:
    return {"x": place.x, "y": place.y, "w": place.w, "h": place.h}


def _view_query(target: Json) -> Json:
    return {
        "ref": text(target.get("refId")),
        "query": text(target.get("expr")),
        "legend": text(target.get("legendFormat")),
        "hidden": target.get("hide") is True,
    }


def _asking(panel: Json) -> list[Json]:
    """Return the targets that hold PromQL, or something of that form."""
    return [one for one in objects(panel.get("targets")) if isinstance(one.get("expr"), str)]


def _stacked(modern: Json) -> str | None:
    if modern.get("type") != "timeseries":
        return None
    custom = obj(obj(obj(modern.get("fieldConfig")).get("defaults")).get("custom"))
    mode = text(obj(custom.get("stacking")).get("mode"))
    return mode if mode in _STACKED else "none"


def _change_type(panel: Json, kind: Any, path: str) -> Json:
    if kind not in KINDS or panel.get("type") == ROW:
        raise InvalidDashboard(
            f"{path}.type",
            f'a {kind_of(panel)} panel cannot become "{kind}"; one of {", ".join(KINDS)}, or as it '
            "is",
        )
    return with_kind(panel, kind)


def _apply_queries(panel: Json, wanted: Json, datasource: Json, path: str) -> None:
    if not wanted.keys() & {"query", "legend", "more_queries"}:
        return
    if panel.get("type") == ROW:
        raise InvalidDashboard(f"{path}.query", "a row asks nothing")
    asking = _asking(panel)
    others = [one for one in objects(panel.get("targets")) if one not in asking]
    kind = kind_of(panel)
    first = asking[0] if asking else _new_target(kind, _free_letter(others), datasource)
    rest = asking[1:]
    if "query" in wanted:
        first["expr"] = wanted["query"]
    if "legend" in wanted:
        first["legendFormat"] = wanted["legend"]
    if "more_queries" in wanted:
        rest = _merge(rest, wanted["more_queries"], [first, *others], kind, datasource)
    panel["targets"] = [first, *rest, *others]


def _merge(
    held: list[Json], wanted: list[Json], taken: list[Json], kind: str, datasource: Json
) -> list[Json]:
    by_letter = {text(one.get("refId")): one for one in held}
    made: list[Json] = []
    for one in wanted:
        known = by_letter.pop(one.get("ref") or "", None)
        letter = _free_letter([*taken, *held, *made])
        target = known or _new_target(kind, letter, datasource)
        target["expr"] = one["query"]
        if one.get("legend", text(target.get("legendFormat"))) != text(target.get("legendFormat")):
            target["legendFormat"] = one["legend"]
        if one.get("hidden", target.get("hide") is True) != (target.get("hide") is True):
            target["hide"] = one["hidden"]
        made.append(target)
    return made


def _new_target(kind: str, letter: str, datasource: Json) -> Json:
    return {
        "refId": letter,
        "datasource": copy.deepcopy(datasource),
        "editorMode": "code",
        "expr": "",
        "legendFormat": "__auto",
        **target_flags(kind),
    }


def _free_letter(targets: list[Json]) -> str:
    taken = {text(one.get("refId")) for one in targets}
    names = (f"{letter}{number or ''}" for number in range(len(taken) + 1) for letter in _LETTERS)
    return next(name for name in names if name not in taken)


def _apply_display(panel: Json, wanted: Json, path: str) -> Json:
    if kind_of(panel) not in KINDS:
        raise InvalidDashboard(path, f"a {kind_of(panel)} panel has no unit, limits or thresholds")
    made = copy.deepcopy(upgrade_panel(panel))
    config = made["fieldConfig"] = obj(made.get("fieldConfig"))
    config.setdefault("overrides", [])
    defaults = config["defaults"] = obj(config.get("defaults"))
    for key in _SHOWN_IN:
        if key in wanted and wanted[key] in (None, ""):
            defaults.pop(key, None)
        elif key in wanted:
            defaults[key] = wanted[key]
    if "thresholds" in wanted:
        held = obj(defaults.get("thresholds"))
        defaults["thresholds"] = {"mode": "absolute", **held, "steps": wanted["thresholds"]}
    if "stacked" in wanted:
        if made.get("type") != "timeseries":
            raise InvalidDashboard(f"{path}.stacked", f"a {kind_of(made)} panel stacks nothing")
        custom = defaults["custom"] = obj(defaults.get("custom"))
        custom["stacking"] = {
            "group": "A",
            **obj(custom.get("stacking")),
            "mode": wanted["stacked"] or "none",
        }
    return made
