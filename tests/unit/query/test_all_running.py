"""Processes tell each other what runs, and end what another wants ended."""

from __future__ import annotations

import time

import pytest
from tidegauge.cache.inprocess import InProcessCache
from tidegauge.errors import Cancelled, InvalidInput, NotFound
from tidegauge.query.all_running import RUNNING_BOARD, AllQueries
from tidegauge.query.limits import Deadline
from tidegauge.query.running import RunningQueries


def make_deadline() -> Deadline:
    return Deadline(timeout_s=10, monotonic=time.monotonic, named_by="TIDEGAUGE_X")


def make_queries(process_id: str, board: InProcessCache | None) -> AllQueries:
    own = RunningQueries(monotonic=time.monotonic, clock_ms=lambda: 5000, process_id=process_id)
    return AllQueries(own, board=board)


@pytest.fixture
def board() -> InProcessCache:
    """What both processes share."""
    return InProcessCache(max_bytes=1_000_000, monotonic=time.monotonic, new_id=lambda: "x")


@pytest.fixture
def here(board) -> AllQueries:
    return make_queries("a", board)


@pytest.fixture
def there(board) -> AllQueries:
    return make_queries("b", board)


def test_after_an_exchange_each_lists_both(here, there) -> None:
    with (
        here.own.track("range", {"query": "up"}, make_deadline()),
        there.own.track("instant", {"query": "down"}, make_deadline()),
    ):
        here.exchange()
        there.exchange()

        for process in (here, there):
            listed = process.list()
            assert {one.id: one.text for one in listed.queries} == {"a-1": "up", "b-1": "down"}
            assert listed.process_id == ""


def test_what_is_over_is_listed_no_longer(here, there) -> None:
    with here.own.track("range", {"query": "up"}, make_deadline()):
        here.exchange()
    here.exchange()

    assert there.list().queries == []
    with pytest.raises(NotFound, match="is over"):
        there.cancel("a-1")


def test_a_wish_is_heard_at_the_next_exchange_and_ends_only_that_query(here, there) -> None:
    wanted, unwanted = make_deadline(), make_deadline()
    with (
        here.own.track("range", {"query": "up"}, wanted),
        here.own.track("range", {"query": "down"}, unwanted),
    ):
        here.exchange()
        there.cancel("a-2")
        unwanted.check()

        here.exchange()

        wanted.check()
        with pytest.raises(Cancelled):
            unwanted.check()


def test_an_own_query_ends_at_once(here) -> None:
    deadline = make_deadline()
    with here.own.track("range", {"query": "up"}, deadline):
        here.cancel("a-1")

        with pytest.raises(Cancelled):
            deadline.check()


def test_what_cannot_be_read_is_passed_over(here, there, board) -> None:
    board.post(RUNNING_BOARD, "c", b'[{"new": "version"}]', ttl_s=60)
    board.post(RUNNING_BOARD, "d", b"\xff", ttl_s=60)
    with there.own.track("range", {"query": "up"}, make_deadline()):
        there.exchange()

        assert [one.id for one in here.list().queries] == ["b-1"]


def test_while_nothing_runs_nothing_is_posted(here, board) -> None:
    here.exchange()

    assert board.held_bytes == 0


def test_without_a_board_each_is_alone_and_says_so() -> None:
    alone = make_queries("a", None)
    with alone.own.track("range", {"query": "up"}, make_deadline()):
        alone.exchange()

        assert ([one.id for one in alone.list().queries], alone.list().process_id) == (["a-1"], "a")
    with pytest.raises(NotFound, match="several API processes"):
        alone.cancel("b-1")


def test_what_is_no_id_is_refused(here) -> None:
    with pytest.raises(InvalidInput):
        here.cancel("up")
