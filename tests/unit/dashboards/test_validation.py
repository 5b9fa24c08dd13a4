"""What a dashboard has to keep to."""

from __future__ import annotations

from typing import Any

import pytest
from tidegauge.config import DashboardsConfig
from tidegauge.dashboards.errors import InvalidDashboard
from tidegauge.dashboards.validation import check_bounds, check_change, check_new
from tidegauge.errors import PayloadTooLarge
from tidegauge.query.parsing import QueryParser

from tests.unit.dashboards.examples import dashboard, panel, variable, with_variables

CONFIG = DashboardsConfig(max_bytes=20_000, max_panels=5)
PARSER = QueryParser(max_depth=100)


def at(x: int, y: int, w: int = 12, h: int = 8) -> dict[str, Any]:
    return {"gridPos": {"x": x, "y": y, "w": w, "h": h}}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (dashboard(title=" "), "title: a dashboard needs a title"),
        (dashboard(title="x" * 201), "title: 201 characters; 200 at most"),
        (dashboard(title="a\0b"), "NUL"),
        (dashboard(tags=["x" * 65]), "tags[0]: 65 characters; 64 at most"),
        (dashboard(tags=["x"] * 51), "tags: 51 of them; 50 at most"),
        (
            dashboard(*(panel(number) for number in range(1, 7))),
            "panels: 6 of them; 5 at most; TIDEGAUGE_DASHBOARD_MAX_PANELS allows more",
        ),
        (dashboard(panel(1, **at(13, 0))), "panel 1: position: x + w is 25"),
        (
            dashboard(panel(1, **at(0, 0)), panel(2, **at(6, 7))),
            "panels: panels lie on one another: 1 and 2",
        ),
        (dashboard(panel(1, "sum(")), "panels[0].targets[0].expr: the query does not parse: 1:5"),
        (dashboard(time={"from": "yesterday", "to": "now"}), 'time.from: "yesterday" is no time'),
        (dashboard(refresh="often"), 'refresh: "often" is no duration'),
    ],
)
def test_what_is_wrong_is_refused_with_place_and_limit(document: Any, reason: str) -> None:
    with pytest.raises(InvalidDashboard) as raised:
        check_new(document, CONFIG, PARSER)

    assert reason in raised.value.message


def test_a_dashboard_that_is_too_long_is_refused() -> None:
    with pytest.raises(PayloadTooLarge, match="TIDEGAUGE_DASHBOARD_MAX_BYTES"):
        check_bounds(dashboard(anything="x" * 20_000), CONFIG)


@pytest.mark.parametrize(
    "time",
    [
        {"from": "now-6h", "to": "now"},
        {"from": "now/d", "to": "now-1d/d"},
        {"from": "1700000000000", "to": "2026-01-01T00:00:00Z"},
    ],
)
def test_times_as_grafana_writes_them_are_taken(time: dict[str, str]) -> None:
    check_new(dashboard(time=time, refresh="30s"), CONFIG, PARSER)


def test_panels_of_a_collapsed_row_collide_with_nobody() -> None:
    row = {"id": 9, "type": "row", **at(0, 8, 24, 1), "panels": [panel(1, **at(0, 0))]}

    check_new(dashboard(row, panel(2, **at(0, 0))), CONFIG, PARSER)


def test_what_was_odd_before_may_stay_but_nothing_odd_is_added() -> None:
    odd = dashboard(
        panel(1, "sum(", **at(20, 0)), panel(2, **at(20, 0)), panel(3, **at(0, 0)), refresh="never"
    )

    check_change(odd, {**odd, "title": "Renamed"}, CONFIG, PARSER)

    worse = {**odd, "panels": [*odd["panels"][:2], panel(3, **at(12, 0))]}
    with pytest.raises(InvalidDashboard, match="1 and 3, 2 and 3"):
        check_change(odd, worse, CONFIG, PARSER)


def test_queries_are_checked_with_the_values_of_variables() -> None:
    document = with_variables(
        dashboard(panel(1, "$function(rate(a[$step]))")),
        variable("function", "custom", "sum,max"),
        variable("step", "interval", "1m,5m"),
    )

    check_new(document, CONFIG, PARSER)
