"""A backtest of whole stretches says the same as one evaluation after the other."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidegauge.alerts.backtest.advice import suggest
from tidegauge.alerts.backtest.comparison import compare
from tidegauge.alerts.backtest.grid import judge_grid
from tidegauge.alerts.backtest.spells import MAX_SPELLS, Report, Spell, SpellKeeper, Trial
from tidegauge.alerts.evaluation import MAX_ALERTS, Outcome, evaluate
from tidegauge.alerts.state import KEPT_UNKNOWN_MS
from tidegauge.errors import QueryFailed
from tidegauge.model.alerts import AlertInstance, AlertRule, AlertState, Condition, Policy
from tidegauge.model.labels import EMPTY_LABELS, Labels, make_labels
from tidegauge.promql.value import Annotations, Result, Scalar, Vector

from tests.support.alerts import make_rule

STEP_MS = 10_000
HOLDS_MS = (0, 5_000, 10_000, 25_000, 30_000)
NAMES: tuple[Labels, ...] = (EMPTY_LABELS, (("host", "a"),), (("host", "b"),))
Row = Sequence[float | None]


def make_result(table: dict[Labels, Row], first: int) -> Result:
    """Return a range query's answer; None is no sample."""
    rows = list(table.values())
    steps = len(rows[0])
    values = np.array([[math.nan if v is None else v for v in row] for row in rows], float)
    present = np.array([[v is not None for v in row] for row in rows], bool)
    times = STEP_MS * np.arange(first, first + steps, dtype=np.int64)
    vector = Vector(list(table), values, present, np.zeros(len(rows), bool))
    return Result(vector, times, Annotations(), 0)


def keep(rule: AlertRule, table: dict[Labels, Row], cuts: Sequence[int] = ()) -> Report:
    """Run a rule over a table in stretches that end at the cuts."""
    keeper = SpellKeeper(rule, start_ms=0, step_ms=STEP_MS)
    steps = len(next(iter(table.values())))
    bounds = sorted({0, *(cut for cut in cuts if 0 < cut < steps), steps})
    for start, stop in itertools.pairwise(bounds):
        part = {labels: row[start:stop] for labels, row in table.items()}
        # As of the engine: a series without a sample in a range is not there.
        there = {
            labels: row for labels, row in part.items() if any(one is not None for one in row)
        } or {(("never", "there"),): [None] * (stop - start)}
        keeper.take(judge_grid(rule, make_result(there, start), keeper.standing))
    return keeper.finish()


def step(rule: AlertRule, table: dict[Labels, Row]) -> dict[str, Any]:
    """Return the same as `summary`, by one evaluation after the other."""
    standing: dict[Labels, AlertInstance] = {}
    fired, pending, told = [], [], {"firing": 0, "repeat": 0, "resolved": 0}
    peaks: dict[Labels, float | None] = {}
    steps = len(next(iter(table.values())))
    for number in range(steps):
        now_ms = number * STEP_MS
        outcome = Outcome(
            [(name, float(row[number])) for name, row in table.items() if row[number] is not None]
        )
        changes = evaluate(
            rule, standing, outcome, elapsed_ms=STEP_MS, now_ms=now_ms, expand=lambda *_: {}
        )
        for change in changes:
            after, before = change.instance, standing.get(change.instance.labels)
            name = after.labels
            if change.payload is not None:
                told[str(change.payload["status"])] += 1
            was = AlertState.INACTIVE if before is None else before.state
            if was is not after.state and after.state is AlertState.RESOLVED:
                fired.append((name, after.active_ms, after.fired_ms, now_ms, peaks[name]))
            if was is AlertState.PENDING and after.state is AlertState.INACTIVE:
                pending.append((name, after.active_ms, None, now_ms, peaks[name]))
            if change.forgotten or after.state is AlertState.INACTIVE:
                standing.pop(name, None)
            else:
                standing[name] = after
        note_peaks(rule, table, number, standing, peaks)
    for name, alert in standing.items():
        if alert.state is AlertState.FIRING:
            fired.append((name, alert.active_ms, alert.fired_ms, None, peaks[name]))
        elif alert.state is AlertState.PENDING:
            pending.append((name, alert.active_ms, None, None, peaks[name]))
    return {"fired": sort(fired), "pending": sort(pending), "told": told}


def note_peaks(
    rule: AlertRule,
    table: dict[Labels, Row],
    number: int,
    standing: dict[Labels, AlertInstance],
    peaks: dict[Labels, float | None],
) -> None:
    for name, alert in standing.items():
        value = table[name][number] if name in table else None
        bad = value is not None and value > rule.threshold
        if alert.active_ms == number * STEP_MS:
            peaks[name] = value
        elif bad and alert.state in (AlertState.PENDING, AlertState.FIRING):
            known = [one for one in (peaks.get(name), value) if one is not None]
            peaks[name] = max(known)


def summary(report: Report) -> dict[str, Any]:
    def rows(spells: Sequence[Spell]) -> list[tuple[Any, ...]]:
        return sort(
            [(one.labels, one.active_ms, one.fired_ms, one.ended_ms, one.peak) for one in spells]
        )

    told = report.told
    return {
        "fired": rows(report.fired),
        "pending": rows(report.pending),
        "told": {"firing": told.firing, "repeat": told.repeat, "resolved": told.resolved},
    }


def sort(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=lambda row: (row[1], row[0]))


ROW = st.lists(
    st.tuples(st.sampled_from([None, 1.0, 6.0, 7.5]), st.integers(1, 6)), min_size=1, max_size=12
).map(lambda runs: [value for value, count in runs for _ in range(count)])


@st.composite
def tables(draw: st.DrawFn) -> dict[Labels, Row]:
    rows = [draw(ROW) for _ in NAMES]
    steps = max(map(len, rows))
    return {
        name: [*row, *([None] * (steps - len(row)))] for name, row in zip(NAMES, rows, strict=True)
    }


@settings(max_examples=300, deadline=None)
@given(
    table=tables(),
    hold_ms=st.sampled_from(HOLDS_MS),
    keep_ms=st.sampled_from(HOLDS_MS),
    repeat_ms=st.sampled_from([0, 15_000, 30_000]),
    no_data=st.sampled_from(list(Policy)),
    cuts=st.lists(st.integers(1, 60), max_size=4),
)
def test_a_backtest_finds_what_one_evaluation_after_the_other_finds(
    table: dict[Labels, Row],
    hold_ms: int,
    keep_ms: int,
    repeat_ms: int,
    no_data: Policy,
    cuts: list[int],
) -> None:
    rule = make_rule(hold_ms=hold_ms, keep_firing_ms=keep_ms, repeat_ms=repeat_ms, no_data=no_data)

    assert summary(keep(rule, table, cuts)) == step(rule, table)


@settings(max_examples=60, deadline=None)
@given(table=tables(), cuts=st.lists(st.integers(1, 60), max_size=3))
def test_each_longer_duration_is_as_if_the_rule_had_it(
    table: dict[Labels, Row], cuts: list[int]
) -> None:
    found = keep(make_rule(hold_ms=0), table, cuts)

    for trial in found.trials:
        own = keep(make_rule(hold_ms=trial.hold_ms), table).trials[0]
        assert (own.spells, own.flaps, own.brief, own.firing_ms) == (
            trial.spells,
            trial.flaps,
            trial.brief,
            trial.firing_ms,
        )


def test_what_nobody_knows_anything_of_for_a_day_ends() -> None:
    rule = make_rule(hold_ms=0, no_data=Policy.KEEP, repeat_ms=0)
    silent = KEPT_UNKNOWN_MS // STEP_MS

    (spell,) = keep(rule, {NAMES[1]: [6.0, *([None] * (silent + 5))]}, [7, 100]).fired

    assert (spell.fired_ms, spell.ended_ms) == (0, (silent + 1) * STEP_MS)


@pytest.mark.parametrize("condition", list(Condition))
def test_every_condition_is_the_same_for_whole_rows(condition: Condition) -> None:
    values = [4.0, 5.0, 6.0, math.nan, math.inf, -math.inf]
    rule = make_rule(condition=condition, hold_ms=0, no_data=Policy.RESOLVE, repeat_ms=0)

    found = summary(keep(rule, {NAMES[1]: values}))
    wanted = step(rule, {NAMES[1]: values})

    assert [row[:4] for row in found["fired"]] == [row[:4] for row in wanted["fired"]]
    assert found["told"] == wanted["told"]


def test_the_peak_of_a_rule_for_low_values_is_the_lowest() -> None:
    rule = make_rule(condition=Condition.LT, hold_ms=0)

    (spell,) = keep(rule, {NAMES[1]: [4.0, 2.0, 3.0]}, [1]).fired

    assert spell.peak == 2.0


def test_a_scalar_is_the_series_without_labels() -> None:
    keeper = SpellKeeper(make_rule(hold_ms=0), start_ms=0, step_ms=STEP_MS)
    times = STEP_MS * np.arange(3, dtype=np.int64)
    result = Result(Scalar(np.array([1.0, 9.0, 1.0])), times, Annotations(), 0)

    keeper.take(judge_grid(make_rule(), result, ()))

    (spell,) = keeper.finish().fired
    assert (spell.labels, spell.fired_ms, spell.ended_ms) == (EMPTY_LABELS, 10_000, 20_000)


def test_series_that_take_turns_under_one_label_set_are_one_alert() -> None:
    table = {
        make_labels({"__name__": "x", "host": "a"}): [6.0, 6.0, None, None],
        make_labels({"__name__": "y", "host": "a"}): [None, None, 6.0, 1.0],
    }

    (spell,) = keep(make_rule(hold_ms=0), table).fired

    assert (spell.labels, spell.fired_ms, spell.ended_ms) == ((("host", "a"),), 0, 30_000)


def test_two_series_under_one_label_set_at_once_fail_as_in_an_evaluation() -> None:
    table = {
        make_labels({"__name__": "x", "host": "a"}): [6.0, 6.0],
        make_labels({"__name__": "y", "host": "a"}): [None, 6.0],
    }

    with pytest.raises(QueryFailed, match=r"same labels.*at 10000 ms"):
        keep(make_rule(), table)


def test_more_bad_series_than_a_rule_may_have_fail_as_in_an_evaluation() -> None:
    table = {make_labels({"host": str(n)}): [1.0, 6.0] for n in range(MAX_ALERTS + 1)}

    with pytest.raises(QueryFailed, match=f"{MAX_ALERTS + 1} series are bad at 10000 ms"):
        keep(make_rule(), table)


def test_a_rule_with_a_limit_fails_above_it() -> None:
    table = {make_labels({"host": name}): [1.0, 6.0] for name in "abc"}

    assert keep(make_rule(hold_ms=0, limit=3), table).trials[0].spells == 3
    with pytest.raises(QueryFailed, match="3 series are bad"):
        keep(make_rule(limit=2), table)


def test_the_query_is_asked_as_of_earlier_and_the_alert_is_of_the_evaluation() -> None:
    (spell,) = keep(make_rule(hold_ms=0, query_offset_ms=60_000), {NAMES[1]: [1.0, 6.0]}).fired

    assert spell.fired_ms == STEP_MS + 60_000


def test_spells_are_counted_beyond_those_that_are_kept() -> None:
    report = keep(make_rule(hold_ms=0), {NAMES[1]: [6.0, 1.0] * (MAX_SPELLS + 7)})

    assert report.trials[0].spells == MAX_SPELLS + 7
    assert len(report.fired) == MAX_SPELLS


def minutes(*runs: tuple[float, float]) -> Row:
    """Return a row: a value and for how many minutes, run by run."""
    return [value for value, length in runs for _ in range(int(length * 6))]


def test_the_shortest_duration_that_takes_only_the_noise_away_is_suggested() -> None:
    blips = minutes(*[(6.0, 0.7), (1.0, 2.0)] * 4, (1.0, 30), (6.0, 20), (1.0, 5))

    report = keep(make_rule(hold_ms=0), {NAMES[1]: blips})
    own, suggestion = report.trials[0], suggest(report.trials)

    assert (own.spells, own.flaps, own.brief) == (5, 3, 4)
    assert (suggestion.hold_ms, suggestion.delay_ms) == (60_000, 60_000)
    chosen = next(one for one in report.trials if one.hold_ms == 60_000)
    assert (chosen.spells, chosen.flaps, chosen.brief, chosen.lost) == (1, 0, 0, 0)


def test_no_duration_is_suggested_that_would_lose_an_alert() -> None:
    # The noise lasts as long as what matters.
    row = minutes((6.0, 6), (1.0, 5), (6.0, 6), (1.0, 60), (6.0, 6), (1.0, 5))

    report = keep(make_rule(hold_ms=0), {NAMES[1]: row})

    assert (report.trials[0].flaps, report.trials[0].brief) == (1, 0)
    assert suggest(report.trials).hold_ms is None
    lost = {one.hold_ms: one.lost for one in report.trials}
    assert (lost[300_000], lost[600_000]) == (0, 2)


def test_nothing_is_suggested_where_nothing_is_wrong() -> None:
    assert suggest([Trial(0, spells=2), Trial(30_000)]).reason.startswith("nothing flaps")


def test_two_rules_are_compared_by_what_overlaps() -> None:
    def spell(fired: int, ended: int | None, name: Labels = NAMES[1]) -> Spell:
        return Spell(name, fired, fired, ended, None)

    first = [spell(0, 10), spell(100, 200), spell(500, None)]
    second = [spell(130, 140), spell(150, 300), spell(400, None, NAMES[2])]

    found = compare(first, second, end_ms=600)

    assert found.only_first == [first[0], first[2]]
    assert found.only_second == [second[2]]
    assert found.delays_ms == [30]
