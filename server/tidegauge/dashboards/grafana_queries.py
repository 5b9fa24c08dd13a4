"""Every PromQL query of a Grafana dashboard: of its panels, its variables, its annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tidegauge.dashboards.grafana_json import (
    DataSources,
    Json,
    all_panels,
    obj,
    objects,
    text,
    variables_of,
)
from tidegauge.dashboards.grafana_variables import fill_in, values_of
from tidegauge.errors import InvalidInput, TidegaugeError
from tidegauge.query.parsing import QueryParser

# Source: grafana-contract, "Variables"; as Grafana's own variable editor reads them.
_LABEL_VALUES = re.compile(
    r"^label_values\((?:(.+),\s*)?([a-zA-Z_$][a-zA-Z0-9_]*)\)\s*$", re.DOTALL
)
_NO_QUERY = re.compile(r"^(?:label_names|metrics|label_values)\(", re.DOTALL)
_QUERY_RESULT = re.compile(r"^query_result\((.+)\)\s*$", re.DOTALL)
_PROMETHEUS = frozenset({"prometheus", ""})


@dataclass(frozen=True, slots=True)
class DashboardQuery:
    """One PromQL query.

    Args:
        path: its place in the dashboard, as `panels[3].targets[0].expr`.
        text: as it stands there, variables and all.
    """

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class QueryFault:
    """A query that does not parse, and why."""

    query: DashboardQuery
    reason: str


def extract_queries(document: Json) -> list[DashboardQuery]:
    """Return all PromQL queries of a dashboard, in the order in which they stand there.

    What goes to other data sources is left out, as far as the dashboard says so.
    """
    sources = DataSources.of(document)
    return [
        *_of_panels(document, sources),
        *_of_variables(document, sources),
        *_of_annotations(document, sources),
    ]


def find_faults(document: Json, parser: QueryParser) -> list[QueryFault]:
    """Return the queries that do not parse, whatever their variables stand for."""
    values = values_of(document)
    faults = []
    for query in extract_queries(document):
        reason = find_fault(query.text, values, parser)
        if reason is not None:
            faults.append(QueryFault(query, reason))
    return faults


def find_fault(query: str, values: dict[str, str], parser: QueryParser) -> str | None:
    """Return why a query does not parse, or None.

    Args:
        query: with Grafana's variables in it.
        values: what these stand for, as far as it is known.
    """
    reason = None
    try:
        for filled in fill_in(query, values):
            reason_here = _find_parse_fault(filled, parser)
            if reason_here is None:
                return None
            reason = reason or reason_here
    except InvalidInput as exc:
        return exc.message
    return reason


def _find_parse_fault(query: str, parser: QueryParser) -> str | None:
    try:
        parser.parse(query)
    except TidegaugeError as exc:
        return exc.message
    return None


def _of_panels(document: Json, sources: DataSources) -> Iterator[DashboardQuery]:
    for path, panel in all_panels(document):
        for number, target in enumerate(objects(panel.get("targets"))):
            kind = sources.type_of(target.get("datasource"), panel.get("datasource"))
            expression = text(target.get("expr"))
            if kind in _PROMETHEUS and expression.strip():
                yield DashboardQuery(f"{path}.targets[{number}].expr", expression)


def _of_variables(document: Json, sources: DataSources) -> Iterator[DashboardQuery]:
    for number, variable in enumerate(variables_of(document)):
        if variable.get("type") != "query":
            continue
        kind = sources.type_of(variable.get("datasource"))
        if kind not in _PROMETHEUS:
            continue
        inner = _inner_query(query_of_variable(variable), is_prometheus=bool(kind))
        if inner:
            yield DashboardQuery(f"templating.list[{number}].query", inner)


def query_of_variable(variable: Json) -> str:
    """Return what a query variable asks, whichever of Grafana's two forms it has."""
    query: Any = variable.get("query")
    return text(obj(query).get("query")) if isinstance(query, dict) else text(query)


def _inner_query(query: str, *, is_prometheus: bool) -> str:
    """Return the PromQL inside a variable's query: the selector, or the expression."""
    query = query.strip()
    values = _LABEL_VALUES.match(query)
    if values is not None:
        return text(values[1]).strip()
    result = _QUERY_RESULT.match(query)
    if result is not None:
        return result[1].strip()
    if _NO_QUERY.match(query):
        return ""
    # Anything else is a selector of series, if it is Prometheus that is asked.
    return query if is_prometheus else ""


def _of_annotations(document: Json, sources: DataSources) -> Iterator[DashboardQuery]:
    for number, one in enumerate(objects(obj(document.get("annotations")).get("list"))):
        expression = text(one.get("expr")) or text(obj(one.get("target")).get("expr"))
        if sources.type_of(one.get("datasource")) in _PROMETHEUS and expression.strip():
            yield DashboardQuery(f"annotations.list[{number}].expr", expression)
