"""Edits of a dashboard, put over a new edition of the file that it came from.

What was edited is what differs between the file as it was and the dashboard as it is; it is put
over the file as it is now. Where both changed the same place in different ways the edit stays, and
the place is told.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from tidegauge.dashboards.grafana_json import Json, obj

_NAMED_BY = {"panels": "id", "targets": "refId", "list": "name"}
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Merged:
    """A dashboard with its edits put over a new file.

    Args:
        document: the outcome.
        conflicts: the places that both had changed; the edit stands there.
    """

    document: Json
    conflicts: list[str]


def merge(base: Json, edited: Json, new: Json) -> Merged:
    """Return the new file with the edits that were made to the old one.

    Args:
        base: the file as it was.
        edited: the dashboard as it is.
        new: the file as it is now.
    """
    conflicts: list[str] = []
    document: Json = _merge(base, edited, new, "", "", conflicts)
    return Merged(document, conflicts)


def _merge(base: Any, edited: Any, new: Any, path: str, key: str, conflicts: list[str]) -> Any:
    if _same(edited, base):
        return new
    if _same(new, base) or _same(new, edited):
        return edited
    if isinstance(edited, dict) and isinstance(new, dict):
        parts = {
            name: _merge(
                obj(base).get(name, _MISSING),
                edited.get(name, _MISSING),
                new.get(name, _MISSING),
                f"{path}.{name}".removeprefix("."),
                name,
                conflicts,
            )
            for name in [*new, *(name for name in edited if name not in new)]
        }
        return {name: part for name, part in parts.items() if part is not _MISSING}
    name_of = _namer(key, base, edited, new)
    if name_of is not None:
        return _merge_lists(base, edited, new, path, name_of, conflicts)
    conflicts.append(path)
    return edited


def _merge_lists(
    base: Any,
    edited: list[Any],
    new: list[Any],
    path: str,
    name_of: Callable[[Any], Hashable],
    conflicts: list[str],
) -> list[Any]:
    before = {name_of(one): one for one in base} if isinstance(base, list) else {}
    here = {name_of(one): one for one in edited}
    there = {name_of(one): one for one in new}
    merged = [
        _merge(
            before.get(name, _MISSING),
            here.get(name, _MISSING),
            there.get(name, _MISSING),
            f"{path}[{name}]",
            "",
            conflicts,
        )
        for name in [*there, *(name for name in here if name not in there)]
    ]
    return [one for one in merged if one is not _MISSING]


def _namer(key: str, *lists: Any) -> Callable[[Any], Hashable] | None:
    """Return how the parts of these lists are told apart, or None where they cannot be."""
    field = _NAMED_BY.get(key)
    for parts in lists:
        if parts is _MISSING:
            continue
        if field is None or not isinstance(parts, list):
            return None
        names = [obj(one).get(field) for one in parts]
        if not all(isinstance(name, str | int) for name in names) or len(set(names)) < len(names):
            return None

    def name_of(one: Any) -> Hashable:
        name: Hashable = one[field]
        return name

    return name_of


def _same(one: Any, other: Any) -> bool:
    if one is _MISSING or other is _MISSING:
        return one is other
    return bool(one == other)
