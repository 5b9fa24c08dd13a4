"""Reads the dashboards that Grafana is provisioned with, and asks what they ask."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import requests
from tidegauge.promql.nodes import VectorSelector

FOLDER = Path(__file__).resolve().parents[2] / "grafana/dashboards"
DASHBOARDS = sorted(FOLDER.glob("*.json"))
GRAFANAS_OWN = {"$__rate_interval": "1m0s", "$__interval": "15s", "$__range": "1h0m0s"}

_LABEL_VALUES = re.compile(r"label_values\((?:(.+), )?(\w+)\)")

Dashboard = dict[str, Any]


def read_dashboard(path: Path) -> Dashboard:
    found: Dashboard = json.loads(path.read_text(encoding="utf-8"))
    return found


def panels_of(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """Yield every panel and row, those inside collapsed rows too."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """Return an expression as Grafana sends it."""
    for name, value in {**GRAFANAS_OWN, **variables}.items():
        text = text.replace(name, value)
    return text


class PanelQuery(NamedTuple):
    """What a panel asks: over its range, or at its end."""

    expr: str
    instant: bool


def queries_of(path: Path, variables: Mapping[str, str]) -> list[PanelQuery]:
    """Return what the panels of a dashboard ask, each once."""
    return sorted(
        {
            PanelQuery(substitute(target["expr"], variables), target["instant"])
            for panel in panels_of(read_dashboard(path))
            for target in panel.get("targets", [])
        }
    )


def names_in(node: Any) -> set[str]:
    """Return the metric names that an expression selects."""
    if isinstance(node, VectorSelector):
        return {node.name} - {""}
    if isinstance(node, tuple):
        return {name for part in node for name in names_in(part)}
    if not dataclasses.is_dataclass(node):
        return set()
    parts = [getattr(node, part.name) for part in dataclasses.fields(node)]
    return {name for part in parts for name in names_in(part)}


def ask(base: str, query: PanelQuery, end_s: float) -> requests.Response:
    """Ask for the last five minutes, or what is true at their end, as a panel does."""
    kind, params = "query", {"query": query.expr, "time": str(end_s)}
    if not query.instant:
        kind = "query_range"
        params = {
            "query": query.expr,
            "start": str(end_s - 300),
            "end": str(end_s),
            "step": "15",
        }
    return requests.post(f"{base}/prometheus/api/v1/{kind}", data=params, timeout=30)


def ask_variable(base: str, query: str) -> list[str]:
    """Return the values of a variable: `label_values(selector, label)`."""
    found = _LABEL_VALUES.fullmatch(query)
    assert found is not None, query
    selector, label = found.groups()
    answer = requests.get(
        f"{base}/prometheus/api/v1/label/{label}/values",
        params={"match[]": selector} if selector else {},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    values: list[str] = answer.json()["data"]
    return values
