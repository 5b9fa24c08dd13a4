"""Any classic Grafana dashboard, made ready to be kept: whole, but for what only carried it.

What is changed is what Grafana's own importer changes, and rows of the old kind, which have no
place on the grid; all else stays as it came, known or not. Grafana brings old panels and old schema
versions up to date itself when it loads them. Source: grafana-contract §5.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.grafana_json import (
    MAX_DEPTH,
    ROW,
    Json,
    all_panels,
    integer,
    is_too_deep,
    obj,
    objects,
    text,
)
from tidegauge.dashboards.grid import COLUMNS

_INPUT = re.compile(r"\$\{.+?\}")
_ROW_HEIGHT_PX = 250
_CELL_PX = 38
_LEAST_CELLS = 3
_OLD_COLUMNS = 12
_OLD_SPAN = 4


@dataclass(frozen=True, slots=True)
class Imported:
    """A dashboard that was taken in.

    Args:
        document: classic Grafana JSON, with an id on every panel and no rows of the old kind.
        warnings: what will not work as it is.
    """

    document: Json
    warnings: list[str] = field(default_factory=list)


def import_dashboard(sent: Any, *, inputs: Mapping[str, str], datasource_uid: str) -> Imported:
    """Return a Grafana dashboard as it is kept: what carried it resolved, every panel on the grid.

    Args:
        sent: the dashboard, or an object that wraps one, as Grafana's API and resources do.
        inputs: what the inputs of a shared export stand for, by name.
        datasource_uid: the Prometheus data source for inputs that are not given.
    Raises:
        InvalidDashboard: it is no classic dashboard.
    """
    resolved = resolve(sent, inputs=inputs, datasource_uid=datasource_uid)
    _lift_rows(resolved.document)
    _number_panels(resolved.document)
    resolved.document["id"] = None
    return resolved


def input_names(sent: Any) -> set[str]:
    """Return the names of the inputs that a shared export asks for."""
    return {text(one.get("name")) for one in objects(_unwrap(sent).get("__inputs"))}


def resolve(sent: Any, *, inputs: Mapping[str, str], datasource_uid: str) -> Imported:
    """Return a Grafana dashboard without what only carried it: wrapping, inputs, library panels.

    Args and raises:
        As `import_dashboard`.
    """
    if is_too_deep(sent):
        raise InvalidDashboard("", f"the dashboard nests more than {MAX_DEPTH} levels deep")
    document = copy.deepcopy(_unwrap(sent))
    warnings = _resolve_inputs(document, inputs, datasource_uid)
    return Imported(document, [*warnings, *_place_library_panels(document)])


def _unwrap(sent: Any) -> Json:
    if not isinstance(sent, dict):
        raise InvalidDashboard("", "a Grafana dashboard is a JSON object")
    if isinstance(sent.get("dashboard"), dict):
        return _unwrap(sent["dashboard"])
    spec = sent.get("spec")
    found: Json = spec if isinstance(spec, dict) and "kind" in sent else sent
    if "elements" in found and "layout" in found:
        raise InvalidDashboard(
            "elements",
            "this is a dashboard of Grafana's version 2; export it as classic JSON, "
            "which Grafana calls version 1",
        )
    if not isinstance(found.get("title"), str) or not found["title"].strip():
        raise InvalidDashboard("title", "a dashboard needs a title")
    for key, kind in (("panels", list), ("rows", list), ("templating", dict), ("tags", list)):
        if found.get(key) is not None and not isinstance(found[key], kind):
            wanted = "a list" if kind is list else "an object"
            raise InvalidDashboard(key, f"{wanted} is wanted, not {type(found[key]).__name__}")
    return found


def _resolve_inputs(document: Json, given: Mapping[str, str], datasource_uid: str) -> list[str]:
    values: dict[str, str] = {}
    left: list[Json] = []
    warnings = []
    declared = objects(document.pop("__inputs", None))
    for one in declared:
        name = text(one.get("name"))
        default = text(one.get("value"))
        if one.get("type") == "datasource" and one.get("pluginId") == "prometheus":
            default = default or datasource_uid
        value = given.get(name, default)
        if value:
            values["${" + name + "}"] = value
        else:
            left.append(one)
            kind = text(one.get("pluginId")) or text(one.get("type"))
            warnings.append(f"input {name} ({kind}) has no value; what uses it shows nothing")
    unknown = sorted(given.keys() - {text(one.get("name")) for one in declared})
    if unknown:
        raise InvalidDashboard(f"inputs.{unknown[0]}", "the dashboard has no input of this name")
    resolved = _replace_inputs(document, values)
    document.clear()
    # Inputs without a value stay declared, for whoever imports what is exported from here.
    document.update({"__inputs": left} if left else {})
    document.update(resolved)
    return warnings


def _replace_inputs(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _INPUT.sub(lambda found: values.get(found[0], found[0]), value)
    if isinstance(value, dict):
        return {key: _replace_inputs(inner, values) for key, inner in value.items()}
    return [_replace_inputs(one, values) for one in value] if isinstance(value, list) else value


def _place_library_panels(document: Json) -> list[str]:
    """Put the models of library panels in their places, as far as the dashboard brings them."""
    elements = obj(document.get("__elements"))
    warnings = []
    for path, panel in all_panels(document):
        uid = text(obj(panel.get("libraryPanel")).get("uid"))
        if not uid:
            continue
        model = obj(obj(elements.get(uid)).get("model"))
        if model:
            own: Json = {key: panel[key] for key in ("id", "gridPos", "span") if key in panel}
            panel.clear()
            panel.update({**copy.deepcopy(model), **own})
            panel.pop("libraryPanel", None)
        elif not panel.get("targets"):
            warnings.append(f"{path}: the dashboard does not bring its library panel {uid}")
    if elements:
        document["__elements"] = {}
    return warnings


def _lift_rows(document: Json) -> None:
    """Bring `rows[].panels[].span` onto the grid, as Grafana's schema version 16 does."""
    rows = objects(document.pop("rows", None))
    if not rows:
        return
    shown = any(row.get("collapse") or row.get("showTitle") or row.get("repeat") for row in rows)
    lifted: list[Json] = objects(document.get("panels"))
    y = max((_bottom(panel) for panel in lifted), default=0)
    for row in rows:
        # Copies that a repeat once made; Grafana makes them anew.
        if row.get("repeatIteration"):
            continue
        panels = objects(row.get("panels"))
        collapsed = shown and bool(row.get("collapse"))
        if shown:
            lifted.append(_row_panel(row, y, panels if collapsed else []))
            y += 1
        bottom = _place(panels, y, _cells(row.get("height"), _ROW_HEIGHT_PX))
        if not collapsed:
            lifted += panels
            y = bottom
    document["panels"] = lifted


def _row_panel(row: Json, y: int, panels: list[Json]) -> Json:
    kept = {key: value for key, value in row.items() if key not in ("panels", "collapse", "height")}
    return {
        **kept,
        "type": ROW,
        "title": text(row.get("title")),
        "collapsed": bool(row.get("collapse")),
        "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        "panels": panels,
    }


def _place(panels: list[Json], y: int, row_cells: int) -> int:
    """Put panels side by side from `y` down; return the first free line."""
    x, line = 0, 0
    for panel in panels:
        span = max(1, min(_OLD_COLUMNS, integer(panel.pop("span", None), _OLD_SPAN) or _OLD_SPAN))
        width = span * COLUMNS // _OLD_COLUMNS
        height = _cells(panel.get("height"), 0) or row_cells
        if x + width > COLUMNS:
            x, y, line = 0, y + line, 0
        panel["gridPos"] = {"x": x, "y": y, "w": width, "h": height}
        x, line = x + width, max(line, height)
    return y + line


def _cells(height: Any, default_px: int) -> int:
    pixels: float = default_px
    if isinstance(height, str) and height.removesuffix("px").strip().isdecimal():
        pixels = int(height.removesuffix("px").strip()[:6])
    elif isinstance(height, int | float) and 0 < height < 100_000:
        pixels = height
    return max(_LEAST_CELLS, math.ceil(pixels / _CELL_PX)) if pixels else 0


def _bottom(panel: Json) -> int:
    place = obj(panel.get("gridPos"))
    return integer(place.get("y")) + integer(place.get("h"))


def _number_panels(document: Json) -> None:
    """Give an id to every panel that has none, or another's."""
    panels = [panel for _, panel in all_panels(document)]
    taken = {integer(panel.get("id")) for panel in panels}
    following = max((number for number in taken if number > 0), default=0) + 1
    seen: set[int] = set()
    for panel in panels:
        number = integer(panel.get("id"))
        if number <= 0 or number in seen:
            number, following = following, following + 1
        # Grafana knows no others than whole numbers.
        panel["id"] = number
        seen.add(number)
