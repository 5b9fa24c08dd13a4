"""The state machine against what one says of it in words, over random lives of a label set."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidegauge.alerts.state import Seen, Timing, advance, holds
from tidegauge.model.alerts import AlertInstance, AlertState, Condition

ALLOWED = {
    ("inactive", "pending"),
    ("inactive", "firing"),
    ("pending", "firing"),
    ("pending", "inactive"),
    ("firing", "resolved"),
    ("resolved", "pending"),
    ("resolved", "firing"),
}
LABELS = (("host", "a"),)
Step = tuple[Seen, int, int]

steps = st.lists(
    st.tuples(
        st.sampled_from(list(Seen)),
        st.integers(0, 60_000),  # what went by
        st.integers(-3_600_000, 3_600_000),  # how far the wall clock was set meanwhile
    ),
    max_size=60,
)
timings = st.builds(
    Timing,
    hold_ms=st.sampled_from([0, 1, 10_000, 120_000]),
    keep_firing_ms=st.sampled_from([0, 1, 10_000, 120_000]),
    kept_unknown_ms=st.sampled_from([30_000, 10**9]),
)


def live(life: list[Step], timing: Timing) -> list[AlertInstance]:
    now_ms, instance, passed = 1_700_000_000_000, AlertInstance(LABELS), []
    for seen, elapsed_ms, set_ms in life:
        now_ms += elapsed_ms + set_ms
        instance = advance(
            instance, seen, value=1.0, elapsed_ms=elapsed_ms, now_ms=now_ms, timing=timing
        )
        passed.append(instance)
    return passed


def states(life: list[tuple[Seen, int]], timing: Timing) -> list[str]:
    return [one.state.value for one in live([(seen, ms, 0) for seen, ms in life], timing)]


@given(steps, timings)
def test_only_the_changes_that_are_allowed_happen(life: list[Step], timing: Timing) -> None:
    passed = [AlertInstance(LABELS), *live(life, timing)]

    changes = {(a.state.value, b.state.value) for a, b in pairwise(passed) if a.state != b.state}

    assert changes <= ALLOWED


@given(steps, timings)
def test_it_fires_exactly_when_the_condition_has_held(life: list[Step], timing: Timing) -> None:
    passed = live(life, timing)
    held_ms, known = None, True
    for place, (seen, elapsed_ms, _) in enumerate(life):
        before = passed[place - 1].state if place else AlertState.INACTIVE
        if before in (AlertState.INACTIVE, AlertState.RESOLVED):
            held_ms, known = None, True
        if seen is Seen.TRUE:
            held_ms = 0 if held_ms is None else held_ms + (elapsed_ms if known else 0)
            fires = before is AlertState.FIRING or held_ms >= timing.hold_ms
            assert (passed[place].state is AlertState.FIRING) == fires
        elif before is not AlertState.FIRING:
            assert passed[place].state is not AlertState.FIRING
        known = seen is not Seen.UNKNOWN


@given(steps, timings)
def test_no_setting_of_the_clock_changes_a_state(life: list[Step], timing: Timing) -> None:
    steady = [(seen, elapsed_ms, 0) for seen, elapsed_ms, _ in life]

    assert [one.state for one in live(life, timing)] == [one.state for one in live(steady, timing)]


@given(steps, timings)
def test_what_is_stored_and_read_again_goes_on_as_it_was(life: list[Step], timing: Timing) -> None:
    # All that counts is in the fields that are stored: nothing else may be remembered.
    now_ms, instance, restarted = 0, AlertInstance(LABELS), AlertInstance(LABELS)
    for seen, elapsed_ms, _ in life:
        now_ms += elapsed_ms
        known = {"value": 2.0, "elapsed_ms": elapsed_ms, "now_ms": now_ms, "timing": timing}
        instance = advance(instance, seen, **known)
        restarted = advance(replace(restarted), seen, **known)
        if restarted.state is AlertState.INACTIVE:
            restarted = AlertInstance(LABELS)  # Such rows are not kept.

        assert restarted.state == instance.state


@given(steps, timings)
def test_nothing_known_for_too_long_ends_every_alert(life: list[Step], timing: Timing) -> None:
    lost: list[Step] = [(Seen.UNKNOWN, timing.kept_unknown_ms, 0)] * 2

    passed = live(life + lost, timing)

    assert passed[-1].state in (AlertState.INACTIVE, AlertState.RESOLVED)


def test_a_gap_in_what_is_known_does_not_count_as_time_held() -> None:
    life = [(Seen.TRUE, 0), (Seen.TRUE, 20), (Seen.UNKNOWN, 1000), (Seen.TRUE, 20), (Seen.TRUE, 10)]

    assert states(life, Timing(hold_ms=30)) == [*["pending"] * 4, "firing"]


def test_keep_firing_counts_from_the_first_false() -> None:
    life = [(Seen.TRUE, 0), (Seen.FALSE, 10), (Seen.FALSE, 10), (Seen.TRUE, 5), (Seen.FALSE, 10)]
    life += [(Seen.FALSE, 15), (Seen.FALSE, 15)]

    passed = states(life, Timing(hold_ms=0, keep_firing_ms=20))

    assert passed == [*["firing"] * 6, "resolved"]


def test_a_resolved_one_waits_again_before_it_fires() -> None:
    life = [(Seen.TRUE, 0), (Seen.TRUE, 10), (Seen.FALSE, 10), (Seen.TRUE, 10), (Seen.TRUE, 10)]

    passed = states(life, Timing(hold_ms=10))

    assert passed == ["pending", "firing", "resolved", "pending", "firing"]


@pytest.mark.parametrize(
    ("condition", "bad"),
    [("gt", {6}), ("gte", {5, 6}), ("lt", {4}), ("lte", {4, 5}), ("eq", {5}), ("ne", {4, 6})],
)
def test_conditions_compare_the_value_with_the_threshold(condition: str, bad: set[int]) -> None:
    assert {value for value in (4, 5, 6) if holds(Condition(condition), value, 5)} == bad


def test_nan_is_unequal_and_there_but_never_compares() -> None:
    bad = [one for one in Condition if holds(one, math.nan, 5)]

    assert bad == [Condition.NE, Condition.ANY]
