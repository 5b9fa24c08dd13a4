"""Single flight within a process: one works, the others wait within their own time."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from tidegauge.errors import Cancelled, DeadlineExceeded, QueryFailed, TidegaugeError, Unavailable
from tidegauge.query.flight import SingleFlight
from tidegauge.query.limits import Deadline, QuerySlots

from tests.support.servers import wait_until

PATIENCE_S = 20.0


def make_deadline(timeout_s: float = PATIENCE_S) -> Deadline:
    return Deadline(timeout_s=timeout_s, monotonic=time.monotonic, named_by="TIDEGAUGE_X")


class Waiting:
    """Counts who waits."""

    def __init__(self, most: int = 100) -> None:
        self.slots = QuerySlots(1, max_waiting=most)
        self.lock = threading.Lock()
        self.count = 0

    @contextlib.contextmanager
    def place(self):
        """Wait as one of those."""
        with self.slots.wait_place():
            with self.lock:
                self.count += 1
            yield


class Caller:
    """One call of `run` in a thread of its own."""

    def __init__(self, flight, work, *, suits=lambda _: True, timeout_s: float = PATIENCE_S):
        self.answer = self.error = None
        self._arguments = (flight, work, suits, timeout_s)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        flight, work, suits, timeout_s = self._arguments
        try:
            self.answer = flight.run(
                b"key", deadline=make_deadline(timeout_s), work=work, suits=suits
            )
        except (TidegaugeError, ZeroDivisionError) as exc:
            self.error = exc

    def finish(self):
        """Return the answer or the error."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.error or self.answer


class Work:
    """Work that goes on until it is let go, and then gives or raises the next of its outcomes."""

    def __init__(self, *outcomes) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.runs = 0
        self._outcomes = iter(outcomes)

    def __call__(self):
        """Work."""
        self.runs += 1
        self.begun.set()
        assert self.may_end.wait(PATIENCE_S)
        outcome = next(self._outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def start_with_followers(waiting, flight, work, followers, **options):
    first = Caller(flight, work)
    assert work.begun.wait(PATIENCE_S)
    others = [Caller(flight, work, **options) for _ in range(followers)]
    wait_until(lambda: waiting.count >= followers, timeout_s=PATIENCE_S, what="the others wait")
    work.may_end.set()
    return first, others


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
def flight(waiting) -> SingleFlight:
    return SingleFlight(wait_place=waiting.place)


def test_of_many_callers_one_works_and_all_get_its_outcome(waiting, flight) -> None:
    work = Work("done")

    first, others = start_with_followers(waiting, flight, work, 7)

    assert first.finish() == ("done", False)
    assert [caller.finish() for caller in others] == [("done", True)] * 7
    assert work.runs == 1


def test_who_comes_later_works_anew(flight) -> None:
    work = Work(1, 2)
    work.may_end.set()

    outcomes = [Caller(flight, work).finish() for _ in range(2)]

    assert outcomes == [(1, False), (2, False)]


def test_an_error_of_the_query_is_everybodys(waiting, flight) -> None:
    work = Work(QueryFailed("no such thing"))

    first, others = start_with_followers(waiting, flight, work, 3)

    assert {str(caller.finish()) for caller in [first, *others]} == {"no such thing"}
    assert work.runs == 1


@pytest.mark.parametrize("misfortune", [DeadlineExceeded("late"), Unavailable("full")])
def test_a_leaders_own_misfortune_is_not_the_followers(waiting, flight, misfortune) -> None:
    work = Work(misfortune, "done")

    first, others = start_with_followers(waiting, flight, work, 1)

    assert first.finish() is misfortune
    assert others[0].finish() == ("done", False)


def test_an_unforeseen_error_leaves_the_way_free(waiting, flight) -> None:
    work = Work(ZeroDivisionError("bug"), "done")

    first, others = start_with_followers(waiting, flight, work, 1)

    assert isinstance(first.finish(), ZeroDivisionError)
    assert others[0].finish() == ("done", False)


def test_a_followers_own_time_is_what_counts_for_it(flight) -> None:
    work = Work("done")
    first = Caller(flight, work)
    assert work.begun.wait(PATIENCE_S)

    error = Caller(flight, work, timeout_s=0.01).finish()
    work.may_end.set()

    assert isinstance(error, DeadlineExceeded)
    assert "the same query" in error.message
    assert first.finish() == ("done", False)


def test_an_outcome_that_does_not_suit_is_not_taken(waiting, flight) -> None:
    work = Work("old", "new")

    first, others = start_with_followers(
        waiting, flight, work, 1, suits=lambda outcome: outcome == "new"
    )

    assert first.finish() == ("old", False)
    assert others[0].finish() == ("new", False)


def test_only_so_many_wait() -> None:
    flight = SingleFlight(wait_place=Waiting(most=0).place)
    work = Work("done")
    first = Caller(flight, work)
    assert work.begun.wait(PATIENCE_S)

    error = Caller(flight, work).finish()
    work.may_end.set()

    assert isinstance(error, Unavailable)
    assert first.finish() == ("done", False)


def test_a_follower_that_is_cancelled_ends_while_the_other_works_on(waiting, flight) -> None:
    work, deadline, ended = Work("done"), make_deadline(), []

    def follow() -> None:
        try:
            flight.run(b"key", deadline=deadline, work=work, suits=lambda _: True)
        except Cancelled as exc:
            ended.append(exc)

    first = Caller(flight, work)
    assert work.begun.wait(PATIENCE_S)
    follower = threading.Thread(target=follow)
    follower.start()
    wait_until(lambda: waiting.count == 1, timeout_s=PATIENCE_S, what="the follower waits")

    deadline.cancellation.request()
    follower.join(PATIENCE_S)

    assert len(ended) == 1
    assert not work.may_end.is_set()
    work.may_end.set()
    assert first.finish() == ("done", False)
