"""What a query may cost, and that each limit names itself, its value and its setting."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from tidegauge.config import QueryConfig
from tidegauge.errors import DeadlineExceeded, LimitExceeded, Unavailable
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.matchers import Matcher
from tidegauge.promql.reader import SelectHints
from tidegauge.promql.value import Annotations, Result, Vector
from tidegauge.query.limits import (
    BudgetedReader,
    Deadline,
    QuerySlots,
    RunningSamples,
    TooManyPoints,
    check_points,
    check_result,
)
from tidegauge.storage.protocol import ReadBudget, StoredBatch


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class GivenSamples:
    """A sample engine with the same samples whatever is asked; it keeps the budgets it got."""

    def __init__(self, series: int, samples_each: int) -> None:
        self._series, self._each = series, samples_each
        self.budgets: list[ReadBudget] = []

    def append(self, batch: StoredBatch) -> Sequence[bytes]:
        """Take nothing: there is only what was given."""
        raise NotImplementedError

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, budget: ReadBudget
    ) -> SeriesFrame:
        """Return the samples, or refuse as an engine does."""
        self.budgets.append(budget)
        count = self._series * self._each
        if count > budget.max_samples:
            raise LimitExceeded(
                "samples", reached=count, allowed=budget.max_samples, setting="TIDEGAUGE_X"
            )
        return SeriesFrame(
            [(("n", str(number)),) for number in range(self._series)],
            np.arange(self._series + 1, dtype=np.int64) * self._each,
            np.tile(np.arange(self._each, dtype=np.int64), self._series),
            np.zeros(count),
        )


def make_deadline(clock: Clock, timeout_s: float = 10.0) -> Deadline:
    return Deadline(timeout_s=timeout_s, monotonic=clock, named_by="TIDEGAUGE_Y")


def test_a_grid_may_have_max_points_intervals_and_no_more() -> None:
    config = QueryConfig(max_points=10)

    check_points(0, 100, 10, config)
    with pytest.raises(TooManyPoints, match=r"10 points.*TIDEGAUGE_QUERY_MAX_POINTS") as caught:
        check_points(0, 110, 10, config)
    assert (caught.value.reached, caught.value.allowed) == (11, 10)


def test_a_deadline_names_its_length_and_who_set_it() -> None:
    clock = Clock()
    deadline = make_deadline(clock)

    clock.now_s += 9.9
    deadline.check()
    clock.now_s += 0.1

    with pytest.raises(DeadlineExceeded, match=r"10 s.*TIDEGAUGE_Y"):
        deadline.check()
    assert deadline.remaining_s() == 0


def test_a_query_without_a_place_in_time_is_refused_and_names_the_setting() -> None:
    slots, clock = QuerySlots(1, max_waiting=1), Clock()

    with (
        slots.hold(make_deadline(clock)),
        pytest.raises(DeadlineExceeded, match="TIDEGAUGE_QUERY_MAX_CONCURRENT"),
        slots.hold(make_deadline(clock, timeout_s=0)),
    ):
        pytest.fail("two held the one place")


def test_a_waiting_query_gets_the_place_that_comes_free() -> None:
    slots, clock = QuerySlots(1, max_waiting=1), Clock()
    entered = threading.Event()

    def wait_for_a_place() -> None:
        with slots.hold(make_deadline(clock)):
            entered.set()

    with slots.hold(make_deadline(clock)):
        waiting = threading.Thread(target=wait_for_a_place)
        waiting.start()
        assert not entered.is_set()
    waiting.join(timeout=10)

    assert entered.is_set()


def test_a_place_comes_free_when_the_query_fails() -> None:
    slots, clock = QuerySlots(1, max_waiting=1), Clock()

    for _ in range(2):
        with pytest.raises(ZeroDivisionError), slots.hold(make_deadline(clock)):
            raise ZeroDivisionError


def test_all_selectors_of_a_query_share_its_samples() -> None:
    samples = GivenSamples(series=2, samples_each=300)
    config = QueryConfig(max_samples=1000)
    reader = BudgetedReader(
        samples, config, make_deadline(Clock()), lookback_ms=300_000, running=RunningSamples(config)
    )

    reader.select([], 0, 0, SelectHints())
    with pytest.raises(LimitExceeded) as caught:
        reader.select([], 0, 0, SelectHints())

    assert [budget.max_samples for budget in samples.budgets] == [1000, 400]
    assert [budget.deadline_s for budget in samples.budgets] == [110.0, 110.0]
    assert (caught.value.reached, caught.value.allowed) == (1200, 1000)
    assert "TIDEGAUGE_QUERY_MAX_SAMPLES" in caught.value.message


def test_all_selectors_of_a_query_share_its_series() -> None:
    config = QueryConfig(max_series=3)
    reader = BudgetedReader(
        GivenSamples(2, 1),
        config,
        make_deadline(Clock()),
        lookback_ms=300_000,
        running=RunningSamples(config),
    )

    reader.select([], 0, 0, SelectHints())
    with pytest.raises(LimitExceeded, match=r"4 series, the limit is 3.*_MAX_SERIES"):
        reader.select([], 0, 0, SelectHints())


def test_series_times_steps_are_bounded_like_samples() -> None:
    config = QueryConfig(max_samples=1000)
    reader = BudgetedReader(
        GivenSamples(10, 1),
        config,
        make_deadline(Clock()),
        lookback_ms=300_000,
        running=RunningSamples(config),
    )

    reader.select([], 0, 300_098, SelectHints(step_ms=2))
    with pytest.raises(LimitExceeded, match=r"1510 points"):
        reader.select([], 0, 300_099, SelectHints(step_ms=1))


def test_what_a_range_selector_reads_further_back_makes_no_steps() -> None:
    config = QueryConfig(max_samples=1000)
    reader = BudgetedReader(
        GivenSamples(10, 1),
        config,
        make_deadline(Clock()),
        lookback_ms=300_000,
        running=RunningSamples(config),
    )

    frame = reader.select([], 0, 10_000_098, SelectHints(step_ms=1, range_ms=10_000_000))

    assert len(frame.labels) == 10


def test_the_points_of_an_answer_are_bounded() -> None:
    present = np.ones((3, 400), bool)
    present[2] = False
    vector = Vector([(), (), ()], np.zeros((3, 400)), present, np.zeros(3, bool))
    result = Result(vector, np.arange(400, dtype=np.int64), Annotations(), 0)

    check_result(result, QueryConfig(max_result_points=800))
    with pytest.raises(LimitExceeded, match=r"800 points in its answer.*_MAX_RESULT_POINTS"):
        check_result(result, QueryConfig(max_result_points=799))


def test_running_queries_share_their_memory_and_give_it_back() -> None:
    config = QueryConfig(max_samples=1000, max_samples_running=1500)
    running = RunningSamples(config)

    def begin(samples_each: int) -> BudgetedReader:
        samples = GivenSamples(series=1, samples_each=samples_each)
        deadline = make_deadline(Clock())
        return BudgetedReader(samples, config, deadline, lookback_ms=300_000, running=running)

    first, second, third = begin(800), begin(800), begin(1001)
    first.select([], 0, 0, SelectHints())

    with pytest.raises(Unavailable, match=r"800 of the 1500 .*_MAX_SAMPLES_RUNNING"):
        second.select([], 0, 0, SelectHints())
    with pytest.raises(LimitExceeded, match=r"1001 samples, the limit is 1000"):
        third.select([], 0, 0, SelectHints())
    first.close()
    second.select([], 0, 0, SelectHints())
    first.close()

    assert running.free() == 700


def test_one_query_alone_may_read_all_that_a_query_may() -> None:
    config = QueryConfig(max_samples=1000, max_samples_running=10)

    assert RunningSamples(config).free() == 1000


def test_only_so_many_queries_wait() -> None:
    slots, clock = QuerySlots(1, max_waiting=0), Clock()

    with (
        slots.hold(make_deadline(clock)),
        pytest.raises(Unavailable, match=r"1 queries run .* and 0 wait.*_HTTP_THREADS") as caught,
        slots.hold(make_deadline(clock)),
    ):
        pytest.fail("two held the one place")

    assert caught.value.retry_after_s == 1
    with slots.hold(make_deadline(clock)):
        pass
