"""What runs is listed, and ends when somebody asks for it."""

from __future__ import annotations

import threading

import pytest
import structlog
from tidegauge.errors import Cancelled, InvalidInput, NotFound
from tidegauge.query.limits import Deadline, QuerySlots
from tidegauge.query.running import RunningQueries

from tests.support.servers import wait_until


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def running(clock: Clock) -> RunningQueries:
    return RunningQueries(monotonic=clock, clock_ms=lambda: 5000, process_id="77")


@pytest.fixture
def deadline(clock: Clock) -> Deadline:
    return Deadline(timeout_s=10, monotonic=clock, named_by="TIDEGAUGE_Y")


def test_a_query_is_listed_while_it_runs(running, deadline, clock) -> None:
    with (
        structlog.contextvars.bound_contextvars(request_id="r1", remote="127.0.0.1"),
        running.track("range", {"query": "up"}, deadline),
    ):
        clock.now_s += 1.5
        (found,) = running.list()

    assert (found.id, found.kind, found.text) == ("77-1", "range", "up")
    assert (found.started_ms, found.took_ms) == (5000, 1500.0)
    assert (found.request_id, found.client, found.cancelled) == ("r1", "127.0.0.1", False)
    assert running.list() == []


def test_a_listing_is_described_by_what_it_lists(running, deadline) -> None:
    about = {"listing": "series", "selectors": ["up", "down"]}

    with running.track("listing", about, deadline):
        assert [one.text for one in running.list()] == ["series up, down"]


def test_a_query_that_failed_is_not_listed(running, deadline) -> None:
    with pytest.raises(ZeroDivisionError), running.track("instant", {"query": "up"}, deadline):
        raise ZeroDivisionError

    assert running.list() == []


def test_a_cancelled_query_ends_at_its_next_check(running, deadline) -> None:
    with running.track("instant", {"query": "up"}, deadline):
        deadline.check()
        running.cancel("77-1")

        assert running.list()[0].cancelled
        with pytest.raises(Cancelled):
            deadline.check()


def test_a_cancelled_query_leaves_the_line_in_which_it_waits(running, deadline, clock) -> None:
    slots, ended = QuerySlots(1, max_waiting=1), []
    waits = threading.Event()

    def wait_for_a_place() -> None:
        with running.track("instant", {"query": "up"}, deadline):
            waits.set()
            try:
                with slots.hold(deadline):
                    ended.append("held")
            except Cancelled:
                ended.append("cancelled")

    with slots.hold(Deadline(timeout_s=10, monotonic=clock, named_by="")):
        waiting = threading.Thread(target=wait_for_a_place)
        waiting.start()
        assert waits.wait(10)
        running.cancel("77-1")
        wait_until(lambda: bool(ended), timeout_s=10, what="the query ended")
    waiting.join(10)

    assert ended == ["cancelled"]


def test_a_query_that_is_over_is_not_found(running) -> None:
    with pytest.raises(NotFound, match="is over"):
        running.cancel("77-5")


def test_a_query_of_another_process_is_not_found_and_the_text_says_why(running) -> None:
    with pytest.raises(NotFound, match="does not run in process 77"):
        running.cancel("78-1")


@pytest.mark.parametrize("text", ["", "1", "A-1", "1-b", "-1", "1-", "1-1\n", "1-٤"])
def test_what_is_no_id_is_refused(running, text: str) -> None:
    with pytest.raises(InvalidInput):
        running.cancel(text)
