"""The circuit breaker: when it opens, what it refuses, and what closes it again."""

from __future__ import annotations

import contextlib
import threading

import pytest
from tidegauge.config import BreakerConfig
from tidegauge.errors import InvalidInput, Unavailable
from tidegauge.resilience.breaker import BreakerOpen, CircuitBreaker, State

CONFIG = BreakerConfig(timeout_s=10, error_percent=40, window_s=10, volume=5, reset_s=60)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events() -> list[str]:
    return []


@pytest.fixture
def breaker(clock: Clock, events: list[str]) -> CircuitBreaker:
    return CircuitBreaker(
        "database",
        CONFIG,
        is_failure=lambda fault: isinstance(fault, Unavailable),
        on_event=lambda _name, event: events.append(event),
        monotonic=clock,
    )


def succeed() -> str:
    return "done"


def fail() -> str:
    raise Unavailable("it is away")


def refuse() -> str:
    raise InvalidInput("bad query")


def run(breaker: CircuitBreaker, *works) -> None:
    for work in works:
        with contextlib.suppress(Unavailable):
            breaker.call(work)


def open_it(breaker: CircuitBreaker) -> None:
    run(breaker, *[fail] * CONFIG.volume)
    assert breaker.state is State.OPEN


def test_it_stays_closed_below_the_volume(breaker) -> None:
    run(breaker, *[fail] * (CONFIG.volume - 1))

    assert breaker.state is State.CLOSED


def test_it_opens_at_the_share_of_errors(breaker, events) -> None:
    run(breaker, succeed, succeed, succeed, fail)
    assert breaker.state is State.CLOSED

    run(breaker, fail)

    assert breaker.state is State.OPEN
    assert events[-2:] == ["failure", "open"]


def test_it_stays_closed_below_the_share_of_errors(breaker) -> None:
    run(breaker, *[succeed] * 8, *[fail] * 5)

    assert breaker.state is State.CLOSED


def test_failures_that_left_the_window_do_not_count(breaker, clock) -> None:
    run(breaker, *[fail] * (CONFIG.volume - 1))
    clock.now_s += CONFIG.window_s

    run(breaker, fail)

    assert breaker.state is State.CLOSED


def test_what_is_no_failure_of_the_neighbour_does_not_open_it(breaker) -> None:
    for _ in range(20):
        with pytest.raises(InvalidInput):
            breaker.call(refuse)

    assert breaker.state is State.CLOSED


def test_work_that_takes_longer_than_the_timeout_is_let_finish_and_counts_as_failed(
    breaker, clock, events
) -> None:
    def dawdle() -> str:
        clock.now_s += CONFIG.timeout_s + 1
        return "late"

    results = [breaker.call(dawdle)]

    assert results == ["late"]
    assert events == ["timeout"]


def test_while_open_nothing_is_tried_and_the_refusal_says_for_how_long(breaker, clock) -> None:
    open_it(breaker)
    clock.now_s += 18
    tried: list[int] = []

    with pytest.raises(BreakerOpen) as refusal:
        breaker.call(lambda: tried.append(1))

    assert tried == []
    assert refusal.value.retry_after_s == 42
    assert "TIDEGAUGE_BREAKER_RESET_SECONDS" in refusal.value.message


def test_while_open_the_fallback_answers(breaker, events) -> None:
    open_it(breaker)

    assert breaker.call(succeed, fallback=lambda: "instead") == "instead"
    assert events[-2:] == ["reject", "fallback"]


def test_after_the_pause_one_call_is_tried_and_success_closes_it(breaker, clock, events) -> None:
    open_it(breaker)
    clock.now_s += CONFIG.reset_s
    assert breaker.state is State.HALF_OPEN
    seen: list[object] = []

    def trial() -> None:
        # A second call at the same moment is refused: one decides.
        with pytest.raises(BreakerOpen):
            breaker.call(succeed)
        seen.append(breaker.state)

    breaker.call(trial)

    assert seen == [State.HALF_OPEN]
    assert breaker.state is State.CLOSED
    assert events[-1] == "close"
    run(breaker, fail)
    assert breaker.state is State.CLOSED


def test_a_failed_trial_opens_it_for_another_pause(breaker, clock) -> None:
    open_it(breaker)
    clock.now_s += CONFIG.reset_s

    run(breaker, fail)

    assert breaker.state is State.OPEN
    clock.now_s += CONFIG.reset_s - 1
    assert breaker.state is State.OPEN


def test_a_trial_that_ends_in_bad_input_leaves_the_decision_to_the_next_call(
    breaker, clock, events
) -> None:
    open_it(breaker)
    clock.now_s += CONFIG.reset_s

    with pytest.raises(InvalidInput):
        breaker.call(refuse)

    assert (breaker.state, events[-1]) == (State.HALF_OPEN, "unclear")
    run(breaker, succeed)
    assert breaker.state is State.CLOSED


def test_after_a_trial_that_ends_in_bad_input_a_failure_opens_it_again(breaker, clock) -> None:
    open_it(breaker)
    clock.now_s += CONFIG.reset_s
    with pytest.raises(InvalidInput):
        breaker.call(refuse)

    run(breaker, fail)

    assert breaker.state is State.OPEN


def test_bad_input_does_not_dilute_the_share_of_failures(breaker) -> None:
    for _ in range(20):
        with pytest.raises(InvalidInput):
            breaker.call(refuse)

    run(breaker, *[fail] * CONFIG.volume)

    assert breaker.state is State.OPEN


def test_an_excused_failure_does_not_count_and_an_open_breaker_refuses_all_the_same(
    breaker,
) -> None:
    for _ in range(20):
        with pytest.raises(Unavailable):
            breaker.call(fail, excuses=lambda fault: True)
    assert breaker.state is State.CLOSED

    open_it(breaker)

    with pytest.raises(BreakerOpen):
        breaker.call(succeed, excuses=lambda fault: True)


def test_calls_that_began_before_it_opened_do_not_decide(breaker) -> None:
    def outlast() -> str:
        open_it(breaker)
        return "done"

    breaker.call(outlast)

    assert breaker.state is State.OPEN


def test_the_return_of_the_neighbour_ends_the_pause(breaker, events) -> None:
    breaker.note_recovery()
    open_it(breaker)

    breaker.note_recovery()

    assert breaker.state is State.HALF_OPEN
    assert events.count("half_open") == 1
    run(breaker, succeed)
    assert breaker.state is State.CLOSED


def test_a_call_beside_the_trial_after_a_recovery_is_refused_for_a_moment(breaker) -> None:
    open_it(breaker)
    breaker.note_recovery()
    refusals: list[BreakerOpen] = []

    def trial() -> None:
        with pytest.raises(BreakerOpen) as refusal:
            breaker.call(succeed)
        refusals.append(refusal.value)

    breaker.call(trial)

    assert [one.retry_after_s for one in refusals] == [1]


def test_a_call_that_began_before_it_opened_does_not_decide_the_trial(breaker) -> None:
    def trial() -> str:
        release.set()
        old.join(20)
        return fail()

    def outlast() -> str:
        begun.set()
        release.wait(20)
        return "done"

    begun, release = threading.Event(), threading.Event()
    old = threading.Thread(target=breaker.call, args=(outlast,))
    old.start()
    assert begun.wait(20)
    open_it(breaker)
    breaker.note_recovery()

    with pytest.raises(Unavailable):
        breaker.call(trial)

    assert breaker.state is State.OPEN
