"""What the charts of a mail show, over real queries; and that none of them holds a mail up."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tidegauge.alerts.charts import REST_S, AlertCharts
from tidegauge.config import Config
from tidegauge.errors import Unavailable
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import make_labels
from tidegauge.observability.logs import make_logger
from tidegauge.observability.meters import Meters
from tidegauge.services.notifications import make_charts
from tidegauge.services.parts import StorageParts, Tools
from tidegauge.storage.memory import MemoryStorage

from tests.contracts.storage_kit import Clock as StorageClock
from tests.contracts.storage_kit import Kit
from tests.unit.alerts.notifications import make_payload

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
FIRED = (0x9B, 0x4F, 0x7D)


class Bench:
    """Charts of what is in a storage in memory; time stands still but for a test."""

    def __init__(self) -> None:
        self.mono_s, self.log = 5000.0, io.BytesIO()
        memory = MemoryStorage(clock_ms=lambda: NOW_MS, monotonic=lambda: self.mono_s)
        self.kit = Kit(memory, memory, StorageClock())
        self.engine: Any = memory
        self.reads = 0
        self.before: Callable[[], None] = lambda: None
        self.charts = self._make()

    def select(self, *arguments: Any) -> SeriesFrame:
        self.reads += 1
        self.before()
        return self.kit.engine.select(*arguments)

    def _make(self) -> AlertCharts:
        log = make_logger(self.log, level="info", service="e", clock_ms=lambda: NOW_MS)
        tools = Tools(log=log, clock_ms=lambda: NOW_MS, monotonic=lambda: self.mono_s)
        storage = StorageParts(engine=self, catalogue=self.kit.catalogue)  # type: ignore[arg-type]
        return make_charts(Config(), tools, Meters(), storage)

    def send(self, value: float, *, age_ms: int, **labels: str) -> None:
        series = make_labels({"__name__": "heat", **labels})
        self.kit.append([(series, NOW_MS - age_ms, value)])

    def alts(self, *alerts: dict[str, Any], within_s: float = 2.0) -> list[str | None]:
        charts = self.charts.draw(alerts, within_s)
        return [one and one.alt for one in charts]


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    for minute in range(240):
        made.send(10.0 + minute % 60, age_ms=minute * 60_000, host="a")
        made.send(1.0, age_ms=minute * 60_000, host="b", disk="x")
        made.send(2.0, age_ms=minute * 60_000, host="b")
    return made


def alert(host: str = "a", query: str = "heat", **fields: Any) -> dict[str, Any]:
    rule = {"query": query, "threshold": 5.0, "condition": "gt", "hold_ms": 0}
    given = {
        "labels": {"alertname": "hot", "host": "by the rule", "team": "db"},
        "series": {"host": host},
        "rule": {**rule, **fields.pop("rule", {})},
    }
    return make_payload(**{**given, **fields})


def test_a_chart_shows_the_last_hour_of_the_series_behind_the_alert(bench: Bench) -> None:
    assert bench.alts(alert("a"), alert("b"), alert(series={"host": "b", "disk": "x"})) == [
        "Chart of 60 minutes: from 10 to 69, threshold 5",
        "Chart of 60 minutes: from 2 to 2, threshold 5",
        "Chart of 60 minutes: from 1 to 1, threshold 5",
    ]


def test_a_rule_that_holds_long_has_a_chart_of_three_times_that(bench: Bench) -> None:
    assert bench.alts(alert(rule={"hold_ms": HOUR_MS})) == [
        "Chart of 180 minutes: from 10 to 69, threshold 5"
    ]


@pytest.mark.parametrize(
    ("query", "alt"),
    [
        ("heat > 65", "from 10 to 69, threshold 65"),
        ("(sum by (host) (heat)) <= 1e3", "from 10 to 69, threshold 1000"),
        ("heat > bool 65", "from 0 to 1"),
        ("sum by (host) (heat) > 65", "from 10 to 69, threshold 65"),
        ("heat > heat offset 1m", "from 69 to 69"),
        ("scalar(heat{disk='x'})", "from 1 to 1"),
    ],
)
def test_of_a_query_that_compares_what_is_well_is_shown_too(
    bench: Bench, query: str, alt: str
) -> None:
    (found,) = bench.alts(alert(query=query, rule={"threshold": None, "condition": "any"}))

    assert found is not None
    assert alt in found


def test_no_series_no_rule_or_no_answer_is_no_chart_and_no_fault(bench: Bench) -> None:
    missing, others = alert("c"), make_payload(rule=None, series={})
    failing = alert(query='label_replace(heat, "host", "x", "", "")')

    assert bench.alts(missing, others, make_payload()) == [None, None, None]
    assert bench.alts(failing, alert("a"))[0] is None
    assert bench.alts(failing, alert("a"))[1] is not None


def test_a_message_has_three_charts_at_most(bench: Bench) -> None:
    assert len(bench.alts(*[alert("a")] * 5)) == 3


def test_the_moment_of_firing_is_in_the_picture(bench: Bench) -> None:
    (chart,) = bench.charts.draw([alert(fired_at=NOW_MS - HOUR_MS // 2)], 2.0)

    assert chart is not None
    colours = np.asarray(Image.open(io.BytesIO(chart.png)).convert("RGB")).astype(int)
    assert (np.abs(colours - np.array(FIRED)).max(axis=2) <= 12).sum() > 100


def test_what_takes_too_long_is_left_out_and_not_tried_again_for_a_while(bench: Bench) -> None:
    def take_long() -> None:
        bench.mono_s += 3.0

    bench.before = take_long
    assert bench.alts(alert("a"), alert("b")) == []
    reads = bench.reads
    bench.before = lambda: None
    assert bench.alts(alert("a")) == []
    assert bench.reads == reads
    assert b"no charts for a while" in bench.log.getvalue()

    bench.mono_s += REST_S
    assert len(bench.alts(alert("a"))) == 1


def test_a_database_that_is_away_or_a_fault_of_ours_is_no_chart_and_no_fault(bench: Bench) -> None:
    def fail() -> None:
        raise Unavailable("the database is away")

    def break_down() -> None:
        raise ZeroDivisionError

    bench.before = break_down
    assert bench.alts(alert("a")) == []
    assert b"a chart failed" in bench.log.getvalue()
    bench.before = fail
    assert bench.alts(alert("a")) == []


def test_one_message_does_not_wait_for_the_charts_of_another(bench: Bench) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        reading.set()
        assert go_on.wait(20)

    bench.before = hang
    other = threading.Thread(target=lambda: bench.alts(alert("a")))
    other.start()
    assert reading.wait(20)
    try:
        assert bench.alts(alert("b")) == []
        assert bench.reads == 1
    finally:
        go_on.set()
        other.join(20)
