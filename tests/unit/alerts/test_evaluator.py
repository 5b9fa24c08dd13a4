"""The evaluator over real tables, with samples and clocks that a test moves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from tidegauge.alerts import evaluator
from tidegauge.errors import Unavailable
from tidegauge.model.alerts import AlertRule, AlertState, Policy
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.maintenance import MaintenanceWindow, Once
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.silences import Silence
from tidegauge.storage.acknowledgements import Acknowledgement
from tidegauge.storage.alert_lease import Hold, LeaseLost
from tidegauge.storage.faults import DatabaseFault
from tidegauge.storage.pool import Pool
from tidegauge.storage.protocol import SampleEngine

from tests.support.alerts import ENTRY
from tests.support.relay import (
    COMMIT,
    COMMITTED,
    TERMINATED,
    Relay,
    measure_postgresql,
    query,
    relayed_url,
    socket_of,
)
from tests.unit.alerts.evaluator_kit import START_MS, STEP_MS, Bench, open_tables


@pytest.fixture
def bench(migrated_database_url: str, pool: Pool) -> Iterator[Bench]:
    with open_tables(migrated_database_url) as tables:
        yield Bench(tables, pool)


def test_an_alert_fires_after_its_hold_duration_and_resolves(bench: Bench) -> None:
    rule = bench.add(hold_ms=20_000)
    bench.evaluate()

    for value in (6, 6):
        bench.step(a=value)
    assert bench.history(rule) == ["pending"]
    assert bench.told() == []

    bench.step(a=6)
    bench.step(a=6)
    bench.step(a=5)

    assert bench.history(rule) == ["pending", "firing", "resolved"]
    assert bench.told() == ["firing", "resolved"]


def test_a_rule_is_evaluated_once_in_each_interval(bench: Bench) -> None:
    bench.add(interval_ms=30_000)
    bench.evaluate()

    counts = [bench.step(5000, a=1) for _ in range(24)]

    assert sum(counts) == 4


def test_rules_begin_their_intervals_at_different_times(bench: Bench) -> None:
    for number in range(40):
        bench.add(name=str(number))
    bench.evaluate()

    counts = [bench.step(1000, a=1) for _ in range(10)]

    assert sum(counts) == 40
    assert max(counts) < 15


def test_a_new_changed_or_deleted_rule_is_seen_at_the_next_round(bench: Bench) -> None:
    bench.evaluate()
    rule = bench.add(hold_ms=0)
    bench.step(a=6)
    bench.step(a=6)
    assert bench.history(rule) == ["firing"]

    changed = bench.tables.rules.replace(replace(rule, threshold=7.0), ENTRY, end=None).rule
    bench.step(a=6)
    bench.step(a=6)
    assert bench.history(rule) == ["firing", "resolved"]

    bench.tables.rules.replace(replace(changed, enabled=False), ENTRY, end=None)
    assert bench.step(a=6) == 0


def test_a_restart_loses_no_pending_time_and_tells_nobody_anything(bench: Bench) -> None:
    rule = bench.add(hold_ms=60_000)
    quick = bench.add(name="quick", hold_ms=0, query="heat * 1")
    for _ in range(4):
        bench.step(a=6)
    before = bench.told()

    for _ in range(2):
        bench.restart()
        bench.step(a=6)
        assert bench.told() == before == ["firing"]
    bench.step(a=6)
    bench.step(a=6)
    bench.step(a=6)

    assert bench.history(rule) == ["pending", "firing"]
    assert bench.history(quick) == ["firing"]


def test_setting_the_clock_neither_fires_nor_stops_anything(bench: Bench) -> None:
    rule = bench.add(hold_ms=50_000)
    bench.evaluate()
    bench.step(a=6)

    bench.step(set_ms=3_600_000, a=6)
    assert bench.history(rule) == ["pending"]
    bench.step(set_ms=-3_600_000, a=6)
    bench.step(a=6)
    bench.step(a=6)
    bench.step(a=6)
    bench.step(a=6)

    assert bench.history(rule) == ["pending", "firing"]


def test_intervals_that_nobody_evaluated_are_noted(bench: Bench) -> None:
    rule = bench.add()
    bench.evaluate()
    bench.step(a=1)
    bench.step(5 * STEP_MS, a=1)

    last = bench.tables.rules.read(rule.id).last

    assert last is not None
    assert last.missed == 4
    assert bench.meters.figures().total("alert_missed_intervals_total") == 4


def test_a_failing_query_follows_the_rule_for_errors_and_shows(bench: Bench) -> None:
    failing = 'label_replace(heat, "host", "x", "", "") > 0'
    kept = bench.add(hold_ms=0, query=failing)
    told = bench.add(name="told", hold_ms=0, query=failing, on_error=Policy.FIRE)
    bench.evaluate()

    bench.step(a=6, b=6)
    bench.step(a=6, b=6)

    assert (bench.history(kept), bench.history(told)) == ([], ["firing"])
    last = bench.tables.rules.read(kept.id).last
    assert last is not None
    assert "same label" in last.error
    assert bench.meters.figures().by_label("alert_evaluations_total", "outcome")["error"] >= 2


def test_one_rule_that_fails_or_cannot_be_stored_holds_up_no_other(bench: Bench) -> None:
    failing = 'label_replace(heat, "host", "x", "", "")'
    bad = bench.add(name="bad", hold_ms=0, query=failing)
    good = bench.add(name="good", hold_ms=0)
    bench.evaluate()

    bench.step(a=6, b=6)
    bench.step(a=6, b=6)

    assert (bench.history(bad), bench.history(good)) == ([], ["firing", "firing"])


_REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'refused by a check' USING ERRCODE = %s; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON alert_events FOR EACH ROW WHEN (NEW.rule_id = %s)
    EXECUTE FUNCTION refuse()
"""


@pytest.mark.parametrize("code", ["check_violation", "internal_error"])
def test_an_alert_that_cannot_be_stored_holds_up_no_other(bench: Bench, code: str) -> None:
    bad = bench.add(name="bad", hold_ms=0)
    good = bench.add(name="good", hold_ms=0)
    with bench.pool.transaction() as lent:
        lent.execute(_REFUSE, (code, bad.id))
    bench.evaluate()

    bench.step(a=6)
    bench.step(a=6)

    assert (bench.history(bad), bench.history(good)) == ([], ["firing"])
    last = bench.tables.rules.read(bad.id).last
    assert last is not None
    assert "refused by a check" in last.error


class BreaksOnce:
    """A sample engine with a fault in it, which shows at the first selection only."""

    def __init__(self, engine: SampleEngine, fault: Exception) -> None:
        self.append, self._select, self._fault = engine.append, engine.select, fault
        self._broken = False

    def select(self, *arguments: Any) -> SeriesFrame:
        if not self._broken:
            self._broken = True
            raise self._fault
        return self._select(*arguments)


@pytest.mark.parametrize(
    ("fault", "shown"),
    [(ZeroDivisionError(), "internal error: ZeroDivisionError"), (DatabaseFault("odd"), "odd")],
)
def test_a_fault_in_one_rule_ends_no_other_and_shows(
    bench: Bench, fault: Exception, shown: str
) -> None:
    bad = bench.add(name="bad", hold_ms=0, query="heat + 0")
    good = bench.add(name="good", hold_ms=0)
    bench.kit = replace(bench.kit, engine=BreaksOnce(bench.kit.engine, fault))
    bench.restart()
    bench.evaluate()

    bench.step(a=6)
    lasts = [bench.tables.rules.read(one.id).last for one in (bad, good)]
    bench.step(a=6)

    assert {"" if last is None else last.error for last in lasts} == {"", shown}
    is_ours = isinstance(fault, ZeroDivisionError)
    assert (b"a rule cannot be evaluated" in bench.log.getvalue()) is is_ours
    assert [bench.history(bad), bench.history(good)] == [["firing"], ["firing"]]


def test_annotations_are_filled_in_with_labels_value_and_queries(bench: Bench) -> None:
    text = '{{ $labels.host }} has {{ $value }} of {{ query "sum(heat)" | first | value }}'
    bench.add(hold_ms=0, annotations={"summary": text, "bad": '{{ query "sum(" | first }}'})
    bench.evaluate()

    bench.step(a=6, b=1)
    bench.step(a=6, b=1)

    with bench.pool.transaction() as lent:
        lent.execute("SELECT payload -> 'annotations' FROM notifications")
        (annotations,) = lent.fetchall()[0]
    assert annotations["summary"] == "a has 6 of 7"
    assert "error expanding template" in annotations["bad"]


def test_who_has_lost_the_lease_changes_nothing_and_the_next_one_goes_on(bench: Bench) -> None:
    rule = bench.add(hold_ms=0)
    bench.evaluate()
    old, old_token = bench.evaluator, bench.token
    bench.restart()

    bench.now_ms += STEP_MS
    bench.send(6, host="a")
    with pytest.raises(LeaseLost):
        old.evaluate_due(Hold(old_token, bench.now_ms))
    assert bench.history(rule) == []

    bench.step(a=6)
    bench.step(a=6)
    assert bench.told() == ["firing"]


def test_what_may_have_been_stored_is_read_again(bench: Bench, migrated_database_url: str) -> None:
    rule = bench.add(hold_ms=0)
    relay = Relay(socket_of(migrated_database_url), measure_postgresql)
    trap = relay.set_trap(
        lambda _message, forward: forward(TERMINATED),
        query("INSERT INTO alert_events"),
        COMMIT,
        COMMITTED,
    )
    with contextlib.closing(relay), open_tables(relayed_url(migrated_database_url, relay)) as far:
        near, bench.tables = bench.tables, far
        bench.restart()
        bench.evaluate()
        with pytest.raises(Unavailable):
            bench.step(a=6)
        trap.wait(1)
        bench.tables = near
    assert bench.history(rule) == ["firing"], "it was stored, and the evaluator was not told"
    bench.restart()

    bench.step(a=6)
    bench.step(a=6)

    assert bench.history(rule) == ["firing"]
    assert bench.told() == ["firing"]


def test_a_copy_of_where_alerts_stand_is_kept_and_dropped(bench: Bench) -> None:
    rule = bench.add(hold_ms=0)
    bench.evaluate()
    bench.step(a=6)
    bench.step(a=7)

    state = orjson.loads(bench.cache.get(f"alert:state:{rule.id}"))

    assert (state["state"], state["active"]) == ("firing", 1)
    assert state["alerts"][0]["labels"] == {"alertname": "hot", "host": "a", "severity": "warning"}
    assert bench.meters.figures().total("alerts_firing") == 1

    bench.tables.rules.delete(rule.id, ENTRY, end=_forget)
    bench.step()
    assert bench.cache.get(f"alert:state:{rule.id}") is None
    assert bench.meters.figures().total("alerts_firing") == 0


def test_a_silence_is_heeded_from_its_making_to_its_end(bench: Bench) -> None:
    rule = bench.add(hold_ms=0)
    bench.evaluate()
    made = bench.tables.silences.add(
        Silence((Matcher(MatchType.REGEX, "host", "a|b"),), 0, 2**41), ENTRY
    )

    bench.step(a=6)
    bench.step(a=6)
    assert (bench.history(rule), bench.told()) == (["firing"], [])

    bench.tables.silences.end(made.id, ENTRY, now_ms=bench.now_ms)
    bench.step(a=6)
    bench.step(a=6)
    assert (bench.history(rule), bench.told()) == (["firing"], ["firing"])


def add_window(bench: Bench, *, begins_ms: int, ends_ms: int) -> MaintenanceWindow:
    def local(time_ms: int) -> datetime:
        return datetime.fromtimestamp(time_ms / 1000, UTC).replace(tzinfo=None)

    window = MaintenanceWindow(
        name="new disks",
        matchers=(Matcher(MatchType.REGEX, "host", "a|b"),),
        zone="UTC",
        schedule=Once(local(begins_ms), local(ends_ms)),
        created_by="test",
    )
    return bench.tables.windows.add(window, ENTRY)


def test_what_fires_in_a_maintenance_window_is_told_at_its_end_if_it_still_does(
    bench: Bench,
) -> None:
    rule = bench.add(hold_ms=0)
    window = add_window(bench, begins_ms=START_MS, ends_ms=START_MS + 4 * STEP_MS)
    bench.evaluate()

    bench.step(a=6, b=6)
    bench.step(a=6, b=6)
    bench.step(a=6, b=1)
    assert (bench.history(rule), bench.told()) == (["firing", "firing", "resolved"], [])
    events = bench.tables.events.read_page(
        rule.id, before=None, start_ms=None, end_ms=None, limit=99
    )
    muted = [one.details for one in events if one.state is AlertState.FIRING]
    assert muted == [{"maintenance_window_id": window.id}] * 2

    bench.step(a=6, b=1)
    bench.step(a=6, b=1)
    assert bench.told() == ["firing"]


def test_who_heard_of_it_before_a_maintenance_window_hears_of_its_end_within(
    bench: Bench,
) -> None:
    bench.add(hold_ms=0, repeat_ms=STEP_MS)
    add_window(bench, begins_ms=START_MS + 3 * STEP_MS, ends_ms=START_MS + 99 * STEP_MS)
    bench.evaluate()

    bench.step(a=6)
    bench.step(a=6)
    before = bench.told()
    bench.step(a=6)
    bench.step(a=6)
    assert bench.told() == before

    bench.step(a=1)
    assert (before[0], bench.told()) == ("firing", [*before, "resolved"])


def test_a_window_in_a_zone_that_is_not_known_here_mutes_nothing_and_is_logged(
    bench: Bench,
) -> None:
    bench.add(hold_ms=0)
    window = add_window(bench, begins_ms=START_MS, ends_ms=START_MS + 99 * STEP_MS)
    bench.tables.windows.replace(replace(window, zone="Mars/Base"), ENTRY)
    bench.evaluate()

    bench.step(a=6)
    bench.step(a=6)

    assert bench.told() == ["firing"]
    assert b"a maintenance window is not heeded" in bench.log.getvalue()


def test_a_lost_copy_changes_nothing(bench: Bench) -> None:
    rule = bench.add(hold_ms=20_000)
    bench.evaluate()
    for _ in range(5):
        bench.cache.delete(f"alert:state:{rule.id}")
        bench.step(a=6)

    assert bench.told() == ["firing"]


def test_changes_of_state_are_logged(bench: Bench) -> None:
    bench.add(hold_ms=0)
    bench.evaluate()
    bench.step(a=6)
    bench.step(a=6)

    lines = [orjson.loads(line) for line in bench.log.getvalue().splitlines()]

    (changed,) = [line for line in lines if line["message"] == "alert changed"]
    assert (changed["rule"], changed["state"], changed["labels"]["host"]) == ("hot", "firing", "a")


def _forget(alert: Any) -> Any:
    from tests.support.alerts import end

    return end(replace(alert, state=AlertState.INACTIVE))


def firing_event(bench: Bench, rule: AlertRule) -> int:
    events = bench.tables.events.read_page(
        rule.id, before=None, start_ms=None, end_ms=None, limit=99
    )
    return next(one.id for one in events if one.state is AlertState.FIRING)


def acknowledge(bench: Bench, rule: AlertRule, event_id: int, **fields: Any) -> set[int]:
    made = Acknowledgement("on it", "ada", bench.now_ms, **fields)
    return bench.tables.acknowledgements.put(rule.id, [event_id], made, ENTRY)


def test_what_is_acknowledged_is_not_told_again_until_it_fires_anew(bench: Bench) -> None:
    rule = bench.add(hold_ms=0, repeat_ms=STEP_MS)
    bench.evaluate()
    bench.step(a=6)
    event_id = firing_event(bench, rule)

    acknowledge(bench, rule, event_id)
    for value in (6, 6, 5, 6, 6):
        bench.step(a=value)

    assert bench.told() == ["firing", "resolved", "firing", "repeat"]
    ended = bench.tables.acknowledgements.read([event_id])[event_id]
    assert ended.ended_ms == bench.now_ms - 2 * STEP_MS
    assert bench.tables.acknowledgements.read_quiet() == frozenset()


def test_what_is_acknowledged_is_told_again_where_somebody_wants_that(bench: Bench) -> None:
    rule = bench.add(hold_ms=0, repeat_ms=STEP_MS)
    bench.evaluate()
    bench.step(a=6)

    acknowledge(bench, rule, firing_event(bench, rule), keep_repeating=True)
    bench.step(a=6)

    assert bench.told() == ["firing", "repeat"]


def test_what_fires_no_more_cannot_be_acknowledged(bench: Bench) -> None:
    rule = bench.add(hold_ms=0)
    bench.evaluate()
    bench.step(a=6)
    bench.step(a=5)

    assert acknowledge(bench, rule, firing_event(bench, rule)) == set()


def test_the_end_of_a_firing_names_its_beginning(bench: Bench) -> None:
    rule = bench.add(hold_ms=STEP_MS)
    bench.evaluate()
    for value in (6, 6, 5):
        bench.step(a=value)

    events = bench.tables.events.read_page(
        rule.id, before=None, start_ms=None, end_ms=None, limit=9
    )

    resolved, firing, pending = events
    assert (pending.fired_event_id, firing.fired_event_id) == (None, None)
    assert resolved.fired_event_id == firing.id


def test_routes_tell_of_rules_that_tell_nobody_and_change_while_it_runs(bench: Bench) -> None:
    rule = bench.add(hold_ms=0, channels=())
    bench.evaluate()
    bench.step(a=6)
    assert (bench.history(rule), bench.told()) == (["firing"], [])

    document = {
        "receivers": [{"name": "all", "channels": [{"type": "email", "target": "a@example.org"}]}],
        "route": {"receiver": "all"},
    }
    bench.tables.routes.replace(document, ENTRY, revision=0, by="me")
    bench.step(a=6)
    assert bench.told() == ["firing"]

    bench.tables.routes.replace({}, ENTRY, revision=1, by="me")
    bench.step(a=1)

    assert bench.told() == ["firing", "resolved"]
    rows = bench.tables.outbox.read_log(rule.id, before=None, limit=9)
    assert {(row.receiver, row.group_key) for row in rows} == {("all", '{}:{alertname="hot"}')}


def test_routes_that_cannot_be_read_leave_those_before(bench: Bench) -> None:
    bench.add(hold_ms=0)
    bench.tables.routes.replace({"route": {"future": 1}}, ENTRY, revision=0, by="me")
    bench.evaluate()

    bench.step(a=6)

    assert bench.told() == ["firing"]


def test_a_flood_of_alerts_is_stored_in_rounds_of_bounded_size(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [bench.add(name=f"r{number}", query="heat", hold_ms=0) for number in range(3)]
    bench.step(a=1.0, b=1.0)
    monkeypatch.setattr(evaluator, "ROUND_CHANGES", 2)

    sizes = [bench.step(a=99.0, b=99.0), bench.evaluate(), bench.evaluate(), bench.evaluate()]

    assert sizes == [1, 1, 1, 0]
    assert [bench.history(one) for one in rules] == [["firing", "firing"]] * 3
