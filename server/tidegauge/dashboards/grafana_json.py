"""Finding one's way in a classic Grafana dashboard: its panels, its data sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
"""A JSON object: a dashboard, a panel, a target."""

ROW = "row"
MIXED = "-- Mixed --"
MAX_DEPTH = 100
"""How deep arrays and objects may nest; real dashboards stay below 20."""


def objects(value: Any) -> list[Json]:
    """Return the objects of a list; anything else in its place, or in it, is passed over."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def obj(value: Any) -> Json:
    """Return an object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """Return a string, or "" in place of anything else."""
    return value if isinstance(value, str) else ""


def integer(value: Any, default: int = 0) -> int:
    """Return a whole number, also one that came as 4.0, or the default in place of others."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return int(value) if abs(value) < 2**31 else default


def is_too_deep(value: Any) -> bool:
    """Return whether a value nests deeper than MAX_DEPTH."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def variables_of(document: Json) -> list[Json]:
    """Return the variables of a dashboard."""
    return objects(obj(document.get("templating")).get("list"))


def top_panels(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield (path, panel) for the panels and row panels that lie in no other one."""
    for number, panel in enumerate(objects(document.get("panels"))):
        yield f"panels[{number}]", panel
    for row_number, row in enumerate(objects(document.get("rows"))):
        for number, panel in enumerate(objects(row.get("panels"))):
            yield f"rows[{row_number}].panels[{number}]", panel


def all_panels(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield (path, panel) for every panel and row panel, those inside collapsed rows too."""
    for path, panel in top_panels(document):
        yield path, panel
        for number, inner in enumerate(objects(panel.get("panels"))):
            yield f"{path}.panels[{number}]", inner


@dataclass(frozen=True, slots=True)
class DataSources:
    """What is known of the data sources that a dashboard names.

    Args:
        types: plugin ids by the names under which a dashboard may refer to them: inputs of a
            shared export, and variables.
    """

    types: dict[str, str]

    @classmethod
    def of(cls, document: Json) -> DataSources:
        """Return what a dashboard says of its data sources."""
        inputs = {
            text(one.get("name")): text(one.get("pluginId"))
            for one in objects(document.get("__inputs"))
            if one.get("type") == "datasource"
        }
        variables = {
            text(one.get("name")): text(one.get("query"))
            for one in variables_of(document)
            if one.get("type") == "datasource"
        }
        return cls({**inputs, **variables})

    def type_of(self, *references: Any) -> str:
        """Return the plugin id behind the first reference that says something, or "".

        Args:
            references: of a target, then of its panel: a name, an object, or nothing.
        """
        for reference in references:
            if isinstance(reference, dict) and text(reference.get("type")):
                kind = text(reference.get("type"))
                if kind != "datasource":
                    return kind
                reference = reference.get("uid")
            name = text(obj(reference).get("uid")) if isinstance(reference, dict) else reference
            if isinstance(name, str) and name and name != MIXED:
                return self._type_by_name(name)
        return ""

    def _type_by_name(self, name: str) -> str:
        bare = name.strip("${}[]").partition(":")[0]
        if bare in self.types:
            return self.types[bare]
        # A name is anybody's choice; many a person chose the name of the product.
        return next((kind for kind in ("prometheus", "loki") if kind in name.lower()), "")
