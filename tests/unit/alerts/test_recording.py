"""What rules give as series: recording rules, `ALERTS`, the order of a group, slow queries."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from tidegauge.alerts.watching import slot_of, slot_start_ms
from tidegauge.model.alerts import AlertRule, Condition, Policy, RuleOrigin
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.matchers import Matcher
from tidegauge.model.recording import RecordingRule
from tidegauge.model.stale import is_stale
from tidegauge.storage.alert_lease import Hold, LeaseLost
from tidegauge.storage.pool import Pool
from tidegauge.storage.protocol import ReadBudget, SampleEngine, StoredBatch

from tests.support.alerts import ENTRY
from tests.support.servers import wait_until
from tests.unit.alerts.evaluator_kit import STEP_MS, Bench, open_tables

GROUPED = RecordingRule("made", "heat", {}, STEP_MS, RuleOrigin("a.yml", "g", ""))


@pytest.fixture
def bench(migrated_database_url: str, pool: Pool) -> Iterator[Bench]:
    with open_tables(migrated_database_url) as tables:
        bench = Bench(tables, pool)
        # An interval of the group begins with each step.
        bench.now_ms = slot_start_ms(GROUPED, slot_of(GROUPED, bench.now_ms))
        yield bench


def ends(pairs: Sequence[tuple[int, float]]) -> bool:
    """Return whether the last of a series' samples is a stale marker."""
    return bool(is_stale(np.array([pairs[-1][1]]))[0])


def last_error(bench: Bench) -> str:
    (stored,) = bench.tables.recordings.read_all()
    assert stored.last is not None
    return stored.last.error


def test_an_answer_is_written_as_series_with_the_rule_s_labels(bench: Bench) -> None:
    bench.record("hosts:heat", "heat", labels={"team": "infra", "rack": ""})
    bench.evaluate()

    bench.send(5, host="a", rack="1")
    bench.send(6, host="b", rack="2")
    bench.step()

    found = bench.read("hosts:heat")
    assert {labels: [value for _, value in pairs] for labels, pairs in found.items()} == {
        (("host", "a"), ("team", "infra")): [5],
        (("host", "b"), ("team", "infra")): [6],
    }
    (stored,) = bench.tables.recordings.read_all()
    assert stored.last is not None
    assert (stored.last.series, stored.last.error) == (2, "")


def test_samples_lie_at_the_begin_of_the_interval_whoever_evaluates_it(bench: Bench) -> None:
    bench.record("total", "sum(heat)")
    bench.evaluate()

    bench.step(a=1)
    bench.step(STEP_MS + 700, a=2)
    bench.restart()
    bench.step(STEP_MS - 200, a=3)

    ((first_ms, _), (second_ms, _), (third_ms, _)) = bench.read("total")[()]
    assert (second_ms - first_ms, third_ms - second_ms) == (STEP_MS, STEP_MS)


def test_a_series_that_is_no_more_ends_at_once(bench: Bench) -> None:
    bench.record("hot", "heat > 5")
    bench.evaluate()

    bench.step(a=6, b=6)
    bench.step(a=6, b=1)
    bench.step(a=6, b=1)

    found = bench.read("hot")
    assert [value for _, value in found[(("host", "a"),)]] == [6, 6, 6]
    ended = found[(("host", "b"),)]
    assert (len(ended), ends(ended)) == (2, True)


def test_series_of_a_deleted_rule_end(bench: Bench) -> None:
    rule_id = bench.record("total", "sum(heat)")
    bench.evaluate()
    bench.step(a=1)

    bench.tables.recordings.delete(rule_id, ENTRY)
    bench.step(a=1)

    assert ends(bench.read("total")[()])


@pytest.mark.parametrize(
    ("query", "limit", "said"),
    [
        ("heat", 1, "exceeded limit of 1 with 2 series"),
        ("heat", 2, ""),
        ('label_replace(heat, "host", "x", "", "")', 0, "same label"),
        ('heat or label_replace(heat, "other", "x", "", "")', 0, "same labels"),
    ],
)
def test_an_answer_that_may_not_be_written_is_not_written_at_all(
    bench: Bench, query: str, limit: int, said: str
) -> None:
    bench.record("made", query, limit=limit, labels={"other": "y"})
    bench.evaluate()

    bench.step(a=1, b=2)

    assert said in last_error(bench)
    assert len(bench.read("made")) == (0 if said else 2)


def test_query_offset_moves_the_question_and_the_answer(bench: Bench) -> None:
    bench.record("now", "sum(heat)", 0)
    bench.record("before", "sum(heat)", 1, query_offset_ms=2 * STEP_MS)
    bench.evaluate()

    for value in (1, 2, 3, 4):
        bench.step(a=value)

    now, before = bench.read("now")[()], bench.read("before")[()]
    assert before[-1] == (now[-1][0] - 2 * STEP_MS, 2)


def test_a_later_rule_of_a_group_sees_the_earlier_ones_at_once(bench: Bench) -> None:
    origin = RuleOrigin("a.yml", "g", "alert/1")
    bench.record("first", "sum(heat)", 0)
    bench.record("second", "first * 10", 1)
    alert = bench.add(query="second", threshold=50.0, hold_ms=0, origin=origin, position=2)
    bench.queue_is_away = True
    bench.evaluate()

    bench.step(a=6)

    assert bench.history(alert) == ["firing"]
    assert bench.read("first") == {}


def test_alerts_are_series_until_they_end(bench: Bench) -> None:
    bench.add(name="hot", hold_ms=STEP_MS, labels=(("team", "infra"),))
    bench.evaluate()

    for value in (6, 6, 1, 1):
        bench.step(a=value)

    alerts = bench.read("ALERTS")
    common = {"alertname": "hot", "host": "a", "severity": "warning", "team": "infra"}
    of_state = {dict(labels)["alertstate"]: pairs for labels, pairs in alerts.items()}
    assert all(common.items() <= dict(labels).items() for labels in alerts)
    for state in ("pending", "firing"):
        pairs = of_state[state]
        assert (len(pairs), pairs[0][1], ends(pairs)) == (2, 1, True)
    ((labels, since),) = bench.read("ALERTS_FOR_STATE").items()
    assert dict(labels) == common
    active_s = of_state["pending"][0][0] // 1000
    assert [value for _, value in since][:2] == [active_s, active_s]
    assert ends(since)


def test_the_series_of_an_alert_end_after_another_took_over(bench: Bench) -> None:
    bench.add(hold_ms=0)
    bench.evaluate()
    bench.step(a=6)
    bench.step(a=6)

    bench.restart()
    bench.step(a=1)

    ((_, pairs),) = bench.read("ALERTS").items()
    assert ends(pairs)


def test_a_rule_about_all_alerts_does_not_keep_itself_firing(bench: Bench) -> None:
    source = bench.add(name="source", hold_ms=0)
    about = bench.add(
        name="about", query='count(ALERTS{alertstate="firing"})', threshold=0.0, hold_ms=0
    )
    bench.evaluate()

    for value in (6, 6, 6, 1, 1, 1):
        bench.step(a=value)

    assert bench.history(source) == ["firing", "resolved"]
    assert bench.history(about) == ["firing", "resolved"]


def test_a_rule_that_names_its_own_alert_sees_it(bench: Bench) -> None:
    kept = 'heat > 5 or (heat > 3 and on() ALERTS{alertname="kept", alertstate="firing"})'
    rule = bench.add(name="kept", query=kept, condition=Condition.ANY, hold_ms=0)
    bench.evaluate()

    for value in (6, 6, 4, 4, 2, 2):
        bench.step(a=value)

    assert bench.history(rule) == ["firing", "resolved"]
    firing = [pairs for labels, pairs in bench.read("ALERTS").items() if labels]
    assert len(firing[0]) >= 4


@pytest.mark.parametrize(
    ("policy", "history"), [(Policy.KEEP, ["firing"]), (Policy.RESOLVE, ["firing", "resolved"])]
)
def test_more_alerts_than_the_limit_are_an_error(
    bench: Bench, policy: Policy, history: list[str]
) -> None:
    rule = bench.add(hold_ms=0, limit=1, on_error=policy)
    bench.evaluate()

    bench.step(a=6)
    bench.step(a=6)
    bench.step(a=6, b=6)
    bench.step(a=6, b=6)

    assert bench.history(rule) == history
    last = bench.tables.rules.read(rule.id).last
    assert last is not None
    assert last.error == "exceeded limit of 1 with 2 alerts"


def test_who_has_lost_the_lease_writes_no_series(bench: Bench) -> None:
    bench.record("total", "sum(heat)")
    bench.evaluate()
    bench.queue_is_away = True
    bench.step(a=1)
    old, old_token = bench.evaluator, bench.token

    bench.restart()
    bench.queue_is_away = False
    bench.mono_s += 60
    with pytest.raises(LeaseLost):
        old.evaluate_due(Hold(old_token, bench.now_ms))

    assert bench.read("total") == {}


def test_a_queue_that_is_away_holds_up_no_alert_and_nothing_is_lost(bench: Bench) -> None:
    bench.record("total", "sum(heat)")
    rule = bench.add(hold_ms=0)
    bench.evaluate()

    bench.queue_is_away = True
    for value in (6, 6, 7):
        bench.step(a=value)
    assert bench.history(rule) == ["firing"]
    assert bench.read("total") == {}
    bench.queue_is_away = False
    bench.step(a=8)

    assert [value for _, value in bench.read("total")[()]] == [6, 6, 7, 8]
    assert bench.log.getvalue().count(b"results of rules cannot be stored now") == 1


class Gate:
    """A sample engine that keeps whoever asks for one metric waiting."""

    def __init__(self, engine: SampleEngine, metric: str) -> None:
        self._engine, self._metric = engine, metric
        self.opened = threading.Event()

    def append(self, batch: StoredBatch) -> Sequence[bytes]:
        return self._engine.append(batch)

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, budget: ReadBudget
    ) -> SeriesFrame:
        if any(one.value == self._metric for one in matchers):
            assert self.opened.wait(60)
        return self._engine.select(matchers, start_ms, end_ms, budget)


def test_a_slow_query_holds_up_no_other_rule(bench: Bench) -> None:
    gate = Gate(bench.kit.engine, "slow")
    bench.kit, bench.round_s = replace(bench.kit, engine=gate), 0.05
    bench.restart()
    slow = bench.add(name="slow", query="absent(slow)", condition=Condition.ANY, hold_ms=0)
    quick = [bench.add(name=str(number), hold_ms=0) for number in range(20)]
    bench.evaluate()

    def changed(rules: Sequence[AlertRule]) -> bool:
        bench.evaluate()
        return all(bench.history(one) for one in rules)

    bench.step(a=6)
    wait_until(lambda: changed(quick), timeout_s=60, what="the quick rules fire", every_s=0)
    bench.step(a=6)
    assert bench.history(slow) == []

    gate.opened.set()
    wait_until(lambda: changed([slow]), timeout_s=60, what="the slow rule fires", every_s=0)
    assert [bench.history(one) for one in [slow, *quick]] == [["firing"]] * 21


def test_what_a_rule_that_changed_meanwhile_found_is_dropped(bench: Bench) -> None:
    gate = Gate(bench.kit.engine, "heat")
    bench.kit, bench.round_s = replace(bench.kit, engine=gate), 0.05
    bench.restart()
    rule = bench.add(hold_ms=0)
    bench.evaluate()
    bench.step(a=6)

    bench.tables.rules.replace(replace(rule, query="vector(0)"), ENTRY, end=None)
    gate.opened.set()
    for _ in range(3):
        bench.step(a=6)

    assert bench.history(rule) == []


def test_figures_are_written_bit_by_bit(bench: Bench) -> None:
    bench.record("kept", "heat")
    bench.evaluate()

    bench.step(a=math.nan, b=math.inf)

    ((_, nan),), ((_, infinite),) = bench.read("kept").values()
    assert (math.isnan(nan), is_stale(np.array([nan]))[0], infinite) == (True, False, math.inf)
