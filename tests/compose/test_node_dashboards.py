"""The dashboards of hosts: every query and variable on what a node exporter exposes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from tidegauge.promql.parser import parse

from tests.support import wire
from tests.support.dashboards import (
    FOLDER,
    PanelQuery,
    ask,
    ask_variable,
    names_in,
    panels_of,
    queries_of,
    read_dashboard,
    substitute,
)
from tests.support.product import Up

# What node exporter 1.5 of Debian 12 exposes, as far as it is asked for.
EXPOSED = Path(__file__).with_name("node_exporter.txt").read_text(encoding="utf-8")
HOSTS = ("web-1:9100", "web-2:9100")
STEP_S = 15
STEPS = 21

FLEET = {"$job": ".*"}
HOST = {"$job": "node", "$instance": HOSTS[0]}
ASKED = {
    "fleet": queries_of(FOLDER / "fleet.json", FLEET),
    "host": queries_of(FOLDER / "host.json", HOST),
}
QUERIES = [(name, query) for name, queries in ASKED.items() for query in queries]


@dataclass(frozen=True)
class Fleet:
    """A product with the samples of two hosts up to end_s."""

    base: str
    end_s: int


def make_series(end_s: int) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
    """Return five minutes of samples of each host: counters rise, disks fill."""
    moments = [(end_s - STEP_S * back, STEPS - back) for back in range(STEPS - 1, -1, -1)]
    reached = [(at * 1000, 1.0) for at, _ in moments]
    series = [({"__name__": "up", "job": "node", "instance": host}, reached) for host in HOSTS]
    for family in text_string_to_metric_families(EXPOSED):
        change = {"counter": 2.0}.get(family.type, 0.0)
        if family.name == "node_filesystem_avail_bytes":
            change = -1e7
        for sample in family.samples:
            for host in HOSTS:
                labels = {**sample.labels, "__name__": sample.name, "job": "node", "instance": host}
                points = [(at * 1000, sample.value + change * step) for at, step in moments]
                series.append((labels, points))
    return series


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    up = Up(tmp_path_factory.mktemp("up"))
    up.start()
    try:
        end_s = int(time.time())
        sent = requests.post(
            f"{up.base}/prometheus/api/v1/write",
            wire.compress(wire.write_request(make_series(end_s))),
            headers=wire.HEADERS,
            timeout=30,
        )
        assert sent.status_code == 204, sent.text
        yield Fleet(up.base, end_s)
    finally:
        up.end()


def exposed_names() -> set[str]:
    """Return the names that a node exporter exposes, and that of who asks it."""
    families = text_string_to_metric_families(EXPOSED)
    return {sample.name for family in families for sample in family.samples} | {"up"}


@pytest.mark.parametrize("name", ["fleet", "host"])
def test_only_what_a_node_exporter_exposes_is_asked_for(name: str) -> None:
    asked = {metric for query in ASKED[name] for metric in names_in(parse(query.expr))}

    assert len(asked) > 8
    assert asked - exposed_names() == set()


def test_nothing_is_recorded_that_nobody_asks_for() -> None:
    asked = {metric for _, query in QUERIES for metric in names_in(parse(query.expr))}

    # Variables ask for the names of hosts.
    assert exposed_names() - asked <= {"node_uname_info"}


@pytest.mark.services
@pytest.mark.parametrize(("name", "query"), QUERIES)
def test_every_query_draws_something(fleet: Fleet, name: str, query: PanelQuery) -> None:
    assert "$" not in query.expr

    answer = ask(fleet.base, query, fleet.end_s)

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["data"]["result"]
    assert "warnings" not in body
    # An info says that something is asked of a metric that does not suit it.
    assert "infos" not in body


@pytest.mark.services
@pytest.mark.parametrize(
    ("name", "variables", "expected"),
    [
        ("fleet", FLEET, {"job": ["node"]}),
        ("host", HOST, {"job": ["node"], "instance": list(HOSTS)}),
    ],
)
def test_every_variable_has_its_values(
    fleet: Fleet, name: str, variables: dict[str, str], expected: dict[str, list[str]]
) -> None:
    found = {
        variable["name"]: ask_variable(
            fleet.base, substitute(variable["query"]["query"], variables)
        )
        for variable in read_dashboard(FOLDER / f"{name}.json")["templating"]["list"]
    }

    assert found == expected


@pytest.mark.services
@pytest.mark.parametrize(
    ("title", "expected"),
    [("Hosts up", 2.0), ("Targets down", 0.0), ("Fullest file system", 0.71), ("CPU in use", None)],
)
def test_the_figures_at_the_top_are_right(fleet: Fleet, title: str, expected: float | None) -> None:
    panels = panels_of(read_dashboard(FOLDER / "fleet.json"))
    (panel,) = [panel for panel in panels if panel["title"] == title and panel["type"] == "stat"]
    query = PanelQuery(substitute(panel["targets"][0]["expr"], FLEET), instant=True)

    answer = ask(fleet.base, query, fleet.end_s).json()

    value = float(answer["data"]["result"][0]["value"][1])
    if expected is None:
        assert 0 <= value <= 1
    else:
        assert value == pytest.approx(expected, abs=0.005)


def test_the_table_of_hosts_leads_to_the_dashboard_of_each() -> None:
    fleet = read_dashboard(FOLDER / "fleet.json")
    host = read_dashboard(FOLDER / "host.json")
    (table,) = [panel for panel in panels_of(fleet) if panel["type"] == "table"]

    links = [
        link["url"]
        for override in table["fieldConfig"]["overrides"]
        for one in override["properties"]
        if one["id"] == "links"
        for link in one["value"]
    ]

    (url,) = links
    assert url.startswith(f"/d/{host['uid']}?")
    variables: list[dict[str, Any]] = host["templating"]["list"]
    assert all(f"var-{variable['name']}=" in url for variable in variables)
