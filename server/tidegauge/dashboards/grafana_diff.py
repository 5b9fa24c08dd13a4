"""What two Grafana dashboards differ in, for whoever looks at them: noise is left out.

Noise is: the order of keys, the database id and the version, what Grafana fills in by itself,
versions of schema and plugins, empty against missing, the two ways to name a data source, and
rows of the old kind against row panels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tidegauge.dashboards.grafana_json import ROW, Json, obj, objects

MAX_CHANGES = 1000
"""So many are told; a dashboard with more has become another one."""

_NOISE = frozenset(
    {"id", "version", "iteration", "schemaVersion", "__requires", "__elements", "gnetId"}
)
_PANEL_NOISE = frozenset({"pluginVersion", "error", "isNew", "repeatIteration", "repeatPanelId"})
_OLD_LAYOUT = frozenset({"gridPos", "span", "height", "minSpan"})
_DEFAULTS: dict[str, Any] = {
    "editable": True,
    "graphTooltip": 0,
    "style": "dark",
    "fiscalYearStartMonth": 0,
    "enable": True,
}
# Where Grafana takes a missing key for true, false says something.
_TRUE_BY_DEFAULT = frozenset(
    {
        "bars",
        "editable",
        "enable",
        "lines",
        "range",
        "show",
        "showHeader",
        "showLegend",
        "showThresholdMarkers",
        "showUnfilled",
    }
)
_NAMED_BY = {"panels": "id", "targets": "refId", "list": "name", "overrides": "", "steps": ""}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Args:
        path: the place, as `panels[4].targets[A].expr`; objects of a list by id, letter or name.
        old, new: what stands there; None where there is nothing.
    """

    path: str
    old: Any
    new: Any


def diff_dashboards(old: Json, new: Json) -> list[Change]:
    """Return what changed, in the order of the paths; at most MAX_CHANGES of them.

    Args:
        old, new: classic Grafana JSON.
    """
    on_grid = not old.get("rows") and not new.get("rows")
    found = _compare(_settle(old, on_grid=on_grid), _settle(new, on_grid=on_grid), "", "")
    return sorted((one for one, _ in zip(found, range(MAX_CHANGES), strict=False)), key=_by_path)


def _by_path(change: Change) -> str:
    return change.path


def _settle(document: Json, *, on_grid: bool) -> Json:
    """Return a dashboard without noise, all panels in one list, rows told apart from them."""
    kept = {key: value for key, value in document.items() if key not in _NOISE}
    kept.pop("rows", None)
    flat: list[Json] = []
    rows: list[Json] = []
    old_rows = [one for one in objects(document.get("rows")) if not one.get("repeatIteration")]
    shown = any(
        row.get("collapse") or row.get("showTitle") or row.get("repeat") for row in old_rows
    )
    for panel in objects(document.get("panels")):
        if panel.get("type") == ROW:
            rows.append(_row_of(panel, bool(panel.get("collapsed")), on_grid=on_grid))
            flat += objects(panel.get("panels"))
        else:
            flat.append(panel)
    for row in old_rows:
        flat += objects(row.get("panels"))
        if shown:
            rows.append(_row_of(row, bool(row.get("collapse")), on_grid=False))
    left_out = _PANEL_NOISE if on_grid else _PANEL_NOISE | _OLD_LAYOUT
    kept["panels"] = [
        {key: value for key, value in panel.items() if key not in left_out} for panel in flat
    ]
    kept["rows"] = rows
    return kept


def _row_of(row: Json, collapsed: bool, *, on_grid: bool) -> Json:
    if on_grid:
        return {key: value for key, value in row.items() if key not in (*_PANEL_NOISE, "panels")}
    return {
        "title": row.get("title"),
        "collapsed": collapsed,
        "repeat": row.get("repeat"),
        "members": len(objects(row.get("panels"))) if collapsed else 0,
    }


def _compare(old: Any, new: Any, path: str, key: str) -> Iterator[Change]:
    if key == "datasource":
        old, new = _name_source(old), _name_source(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for inner in sorted({*old, *new}):
            yield from _compare(
                old.get(inner), new.get(inner), f"{path}.{inner}" if path else inner, inner
            )
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(old, new, path, key)
    elif not _same(_plain(old, key), _plain(new, key)):
        yield Change(path, old, new)


def _compare_lists(old: Sequence[Any], new: Sequence[Any], path: str, key: str) -> Iterator[Change]:
    name_of = _namer(old, new, _NAMED_BY.get(key, "id" if key == "rows" else ""))
    before = {name_of(one, number): one for number, one in enumerate(old)}
    after = {name_of(one, number): one for number, one in enumerate(new)}
    for name in [*before, *(name for name in after if name not in before)]:
        there, here = before.get(name), after.get(name)
        place = f"{path}[{name}]"
        if isinstance(there, dict) and isinstance(here, dict):
            yield from _compare(_unnumbered(there, key), _unnumbered(here, key), place, "")
        else:
            yield from _compare(there, here, place, "")


def _unnumbered(one: Json, key: str) -> Json:
    # Names do not tell panels apart that had no ids; then an id is what was filled in.
    return (
        {name: value for name, value in one.items() if name != "id"}
        if key
        in (
            "panels",
            "rows",
        )
        else one
    )


def _namer(old: Sequence[Any], new: Sequence[Any], field: str) -> Callable[[Any, int], str | int]:
    """Return how the parts of two lists are told apart: by a field, where each has its own."""

    def names(parts: Sequence[Any]) -> list[Any]:
        return [obj(one).get(field) for one in parts]

    def tells_apart(found: list[Any]) -> bool:
        # Grafana gives ids from 1 on; 0 is none.
        named = all(isinstance(one, str | int) and one not in ("", 0) for one in found)
        return named and len(set(found)) == len(found)

    if field and tells_apart(names(old)) and tells_apart(names(new)):
        return lambda one, _number: one[field]
    return lambda _one, number: number


def _name_source(reference: Any) -> Any:
    """Return a data source by its uid, which Grafana takes for a name, too; else as it is."""
    if isinstance(reference, dict) and reference.get("uid"):
        return reference["uid"]
    return reference


def _plain(value: Any, key: str) -> Any:
    """Return None in place of what says no more than nothing would."""
    if isinstance(value, dict):
        parts = {name: _plain(inner, name) for name, inner in value.items()}
        return {name: inner for name, inner in parts.items() if inner is not None} or None
    if isinstance(value, list):
        return value or None
    if value is None or value == "":
        return None
    if value is False and key not in _TRUE_BY_DEFAULT:
        return None
    if key in _DEFAULTS and _same(value, _DEFAULTS[key]):
        return None
    return value


def _same(old: Any, new: Any) -> bool:
    # To Python, True is 1.
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    return bool(old == new)
