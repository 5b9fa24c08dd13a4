"""The same queries to a live Prometheus and to Tidegauge, over the same samples.

Exporter data is that of a real node exporter. Every query is asked at one instant and over a range.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import pytest
import requests

from tests.support.debian import ProgramMissing
from tests.support.differential import label_key, list_queries, make_synthetic, read_exposition
from tests.support.pair import Ask, Pair, instant
from tests.support.servers import run_node_exporter

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

PAGES = 20
QUERIES = list_queries()
SPAN = {"start": "$END-1200", "end": "$END", "step": "47"}
RELATIVE_ERROR = 1e-9

# In what Prometheus 2 differs from 3, whose language ours is, by a pattern found in the query.
CHANGED_IN_3 = {
    r"^holt_winters": "it is called double_exponential_smoothing",
    r" atan2 ": "it takes the metric's name away, as the other operators do",
    r"^(rate|increase)\(d_requests_total\[20m": "what is below zero is cut off in more cases",
    r"^(?!last_|avg_over_time\(node).*\[\w+:\w*\]": "windows are open on the left",
}


@pytest.fixture(scope="module")
def filled(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Both products with synthetic series and with what a node exporter exposed."""
    try:
        with run_node_exporter(tmp_path_factory.mktemp("node")) as exporter:
            pages = [requests.get(f"{exporter.url}/metrics", timeout=10).text for _ in range(PAGES)]
    except ProgramMissing as exc:
        pytest.skip(str(exc))
    pair.store(make_synthetic(pair.end_s))
    pair.store(read_exposition(pages, pair.end_s))
    return pair


@pytest.fixture(scope="module")
def major(pair: Pair) -> str:
    """The major version of the Prometheus beside us."""
    told = requests.get(f"{pair.theirs}/api/v1/status/buildinfo", timeout=10).json()
    return str(told["data"]["version"]).partition(".")[0]


def test_there_are_more_than_three_hundred_queries() -> None:
    assert len(QUERIES) >= 300


@pytest.mark.parametrize("query", QUERIES)
def test_prometheus_gives_the_same(filled: Pair, major: str, query: str) -> None:
    if major == "2":
        why = next((why for found, why in CHANGED_IN_3.items() if re.search(found, query)), None)
        if why is not None:
            assert is_different(filled, query), why
            return
    for ask in (instant(query), Ask("query_range", {"query": query, **SPAN})):
        theirs, ours = filled.ask(ask)

        assert ours.status_code == theirs.status_code, (str(ask), ours.text[:500])
        if theirs.status_code == 200:
            assert_same(ours.json()["data"], theirs.json()["data"], str(ask))
        else:
            assert ours.json()["errorType"] == theirs.json()["errorType"], ours.text


def is_different(filled: Pair, query: str) -> bool:
    """Return whether a query that is meant to differ does; else its explanation is out of date."""
    for ask in (instant(query), Ask("query_range", {"query": query, **SPAN})):
        theirs, ours = filled.ask(ask)
        if theirs.status_code != ours.status_code:
            return True
        try:
            assert_same(ours.json()["data"], theirs.json()["data"], str(ask))
        except AssertionError:
            return True
    return False


def assert_same(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str) -> None:
    """Hold two answers against each other: series, times, and values but for rounding."""
    assert ours["resultType"] == theirs["resultType"], where
    if ours["resultType"] in ("scalar", "string"):
        assert_points([ours["result"]], [theirs["result"]], where)
        return
    of_ours, of_theirs = (
        {label_key(row["metric"]): row for row in one["result"]} for one in (ours, theirs)
    )
    assert of_ours.keys() == of_theirs.keys(), where
    for key, row in of_theirs.items():
        there = row.get("values") or [row["value"]]
        here = of_ours[key].get("values") or [of_ours[key]["value"]]
        assert_points(here, there, f"{where} {dict(key)}")


def assert_points(ours: list[Any], theirs: list[Any], where: str) -> None:
    assert [time for time, _ in ours] == [time for time, _ in theirs], where
    for (time, here), (_, there) in zip(ours, theirs, strict=True):
        assert is_close(float(here), float(there)), f"{where} at {time}: {here}, theirs {there}"


def is_close(one: float, other: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=RELATIVE_ERROR, abs_tol=1e-12)
