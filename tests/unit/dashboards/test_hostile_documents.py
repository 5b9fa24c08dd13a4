"""Dashboards with odd values in any place: taken in or refused, and never anything else."""

from __future__ import annotations

import copy
import random
from typing import Any

import orjson
import pytest
from tidegauge.config import DashboardsConfig
from tidegauge.dashboards.dashboard_view import apply_dashboard, view_dashboard
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.grafana_diff import diff_dashboards
from tidegauge.dashboards.grafana_import import import_dashboard
from tidegauge.dashboards.grafana_queries import find_faults
from tidegauge.dashboards.merge import merge
from tidegauge.dashboards.validation import check_bounds
from tidegauge.query.parsing import QueryParser

from tests.unit.dashboards.examples import (
    OLD_ROWS,
    SHARED,
    dashboard,
    panel,
    variable,
    with_variables,
)

ODD: list[Any] = [
    None, True, False, 0, -1, 1e308, 2**40, 3.5, "", "x", "\0", "$x", "12",
    [], [None], [1, "a"], [[]], [{}], {}, {"a": None}, {"x": {"y": []}},
]  # fmt: skip
SOUND = [
    SHARED,
    OLD_ROWS,
    with_variables(
        dashboard(
            panel(1, "a", "b", type="graph", yaxes=[{"format": "s"}], seriesOverrides=[{}]),
            panel(2, "c", type="singlestat", thresholds="1,2", colors=["r"], valueMaps=[{}]),
            panel(3, "d", fieldConfig={"defaults": {"thresholds": {"steps": [{}]}}}),
            {"id": 4, "type": "row", "collapsed": True, "panels": [panel(5, "e")]},
            annotations={"list": [{"expr": "f"}]},
        ),
        variable("job", query={"query": "label_values(up, job)"}),
        variable("step", "interval", "1m,5m", current={"value": ["1m"]}),
    ),
]
PARSER = QueryParser(max_depth=100)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a value, as what holds it and the key there."""
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    here = [(value, key) for key in keys]
    return here + [place for key in keys for place in places(value[key])]


def spoil(document: Any, chance: random.Random) -> Any:
    spoilt = copy.deepcopy(document)
    for _ in range(chance.randint(1, 8)):
        found = places(spoilt)
        if found:
            holder, key = chance.choice(found)
            holder[key] = copy.deepcopy(chance.choice(ODD))
    return spoilt


@pytest.mark.parametrize("seed", range(300))
def test_odd_values_anywhere_do_no_harm(seed: int) -> None:
    chance = random.Random(seed)
    sent = spoil(chance.choice(SOUND), chance)
    try:
        taken = import_dashboard(sent, inputs={}, datasource_uid="x").document
        check_bounds(taken, DashboardsConfig())
    except InvalidDashboard:
        return

    shown = view_dashboard(taken)
    find_faults(taken, PARSER)
    diff_dashboards(sent, taken)

    assert apply_dashboard(taken, shown, datasource={}, last_panel=99) == taken
    assert diff_dashboards(taken, orjson.loads(orjson.dumps(taken))) == []
    edited = apply_dashboard(taken, {"title": "edited"}, datasource={}, last_panel=99)
    assert merge(taken, edited, taken).document == edited
