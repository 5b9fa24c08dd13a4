"""What every storage promises: the sample engine."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from tidegauge.errors import DeadlineExceeded, LimitExceeded
from tidegauge.model.stale import STALE_BITS, STALE_NAN
from tidegauge.storage.protocol import ReadBudget

from tests.contracts.storage_kit import NOW_MS, Kit, eq, named, ne, nre, plenty, re, series

UP_A = series("up", job="a")
UP_B = series("up", job="b", zone="eu")
LOAD = series("load")


def test_samples_come_back_by_series_and_time(storage: Kit) -> None:
    storage.append([(UP_B, 20, 2.0), (LOAD, 5, 9.0), (UP_A, 30, 3.0), (UP_B, 10, 1.0)])

    assert storage.read(named("up")) == {UP_A: [(30, 3.0)], UP_B: [(10, 1.0), (20, 2.0)]}


def test_the_last_of_equal_times_wins_within_a_batch(storage: Kit) -> None:
    storage.append([(UP_A, 10, 1.0), (UP_A, 20, 5.0), (UP_A, 10, 2.0)], [(UP_A, 10, 3.0)])

    assert storage.read(named("up")) == {UP_A: [(10, 3.0), (20, 5.0)]}


def test_the_last_of_equal_times_wins_across_batches(storage: Kit) -> None:
    storage.append([(UP_A, 10, 1.0), (UP_B, 10, 1.0)])
    storage.append([(UP_A, 10, 2.0)])
    storage.append([(UP_A, 10, 0.5), (UP_A, 11, 4.0)])

    assert storage.read(named("up")) == {UP_A: [(10, 0.5), (11, 4.0)], UP_B: [(10, 1.0)]}


def test_samples_out_of_order_are_sorted(storage: Kit) -> None:
    times = [50, 10, 40, 20, 30]
    for time_ms in times:
        storage.append([(UP_A, time_ms, float(time_ms)), (UP_B, 100 - time_ms, 0.0)])

    found = storage.read(named("up"))

    assert found[UP_A] == [(time_ms, float(time_ms)) for time_ms in sorted(times)]
    assert [time_ms for time_ms, _ in found[UP_B]] == [50, 60, 70, 80, 90]


def test_late_samples_join_those_of_their_time(storage: Kit) -> None:
    storage.append([(UP_A, NOW_MS, 1.0)])
    storage.clock.now_ms += 5 * 3_600_000
    storage.append([(UP_A, NOW_MS - 1000, 2.0), (UP_A, NOW_MS - 300 * 86_400_000, 3.0)])

    found = storage.read(named("up"), start_ms=NOW_MS - 1000, end_ms=NOW_MS)

    assert found == {UP_A: [(NOW_MS - 1000, 2.0), (NOW_MS, 1.0)]}
    assert len(storage.read(named("up"))[UP_A]) == 3


def test_samples_ahead_of_their_arrival_are_found(storage: Kit) -> None:
    hour = 3_600_000
    storage.append([(UP_A, NOW_MS + 300_000, 1.0), (UP_B, NOW_MS + 7 * hour, 2.0)])

    assert storage.read(named("up"), start_ms=NOW_MS + 300_000, end_ms=NOW_MS + 300_000) == {
        UP_A: [(NOW_MS + 300_000, 1.0)]
    }
    assert storage.read(named("up"), start_ms=NOW_MS + 7 * hour) == {
        UP_B: [(NOW_MS + 7 * hour, 2.0)]
    }


def test_a_message_counts_once_however_often_it_comes(storage: Kit) -> None:
    message = storage.new_id()

    results = [storage.append([(UP_A, 10, float(turn))], ids=[message]) for turn in range(100)]

    assert results == [[message]] + [[]] * 99
    assert storage.read(named("up")) == {UP_A: [(10, 0.0)]}


def test_a_message_that_comes_twice_in_one_batch_counts_once(storage: Kit) -> None:
    message = storage.new_id()

    new = storage.append([(UP_A, 10, 1.0)], [(UP_A, 20, 2.0)], ids=[message, message])

    assert new == [message]
    assert storage.read(named("up")) == {UP_A: [(10, 1.0)]}


def test_old_messages_among_new_ones_are_left_out(storage: Kit) -> None:
    old, first, last = storage.new_id(), storage.new_id(), storage.new_id()
    storage.append([(UP_A, 10, 1.0)], ids=[old])

    new = storage.append(
        [(UP_A, 20, 2.0), (LOAD, 20, 2.0)],
        [(UP_A, 10, 9.0), (UP_A, 30, 9.0)],
        [(UP_B, 30, 3.0)],
        ids=[first, old, last],
    )

    assert new == [first, last]
    assert storage.read(named("up")) == {UP_A: [(10, 1.0), (20, 2.0)], UP_B: [(30, 3.0)]}
    assert storage.read(named("load")) == {LOAD: [(20, 2.0)]}


def test_messages_without_samples_are_remembered_too(storage: Kit) -> None:
    first, second = storage.new_id(), storage.new_id()

    assert storage.append([], [(UP_A, 1, 1.0)], ids=[first, second]) == [first, second]
    assert storage.append([(UP_A, 2, 2.0)], ids=[first]) == []
    assert storage.read(named("up")) == {UP_A: [(1, 1.0)]}


def test_values_keep_their_bits(storage: Kit) -> None:
    bits = np.array(
        [STALE_BITS, 0x7FF8000000000001, 0xFFF8000000000123, 1, 1 << 63, 0x7FF0000000000000],
        np.uint64,
    )
    values = bits.view(np.float64)
    storage.append([(UP_A, place, values[place]) for place in range(len(values))])

    frame = storage.frame(named("up"))

    # A Python float may quieten a signalling NaN on its way in; the marker is checked below.
    assert frame.values.view(np.uint64)[1:].tolist() == bits[1:].tolist()


def test_stale_markers_keep_their_bits(storage: Kit) -> None:
    batch = storage.batch([(UP_A, 10, 1.0), (UP_A, 20, 0.0)])
    batch.values[1:] = STALE_NAN
    storage.engine.append(batch)

    frame = storage.frame(named("up"))

    assert frame.values.view(np.uint64).tolist()[1] == STALE_BITS


def test_both_ends_of_the_range_belong_to_it(storage: Kit) -> None:
    storage.append([(UP_A, time_ms, 0.0) for time_ms in (9, 10, 15, 20, 21)])

    found = storage.read(named("up"), start_ms=10, end_ms=20)

    assert [time_ms for time_ms, _ in found[UP_A]] == [10, 15, 20]
    assert storage.read(named("up"), start_ms=16, end_ms=19) == {}
    assert storage.read(named("up"), start_ms=20, end_ms=10) == {}


def test_times_before_1970_are_times(storage: Kit) -> None:
    storage.append([(UP_A, -5, 1.0), (UP_A, 5, 2.0)])

    assert storage.read(named("up"), start_ms=-10) == {UP_A: [(-5, 1.0), (5, 2.0)]}


def test_nothing_matches_gives_an_empty_frame(storage: Kit) -> None:
    empty = storage.frame(named("up"))
    storage.append([(UP_A, 10, 1.0)])
    other = storage.frame(named("down"))

    for frame in (empty, other):
        assert (frame.labels, frame.offsets.tolist()) == ([], [0])
        assert (frame.times_ms.dtype, frame.values.dtype) == (np.int64, np.float64)


@pytest.mark.parametrize(
    ("matchers", "expected"),
    [
        ([named("up"), eq("job", "a")], [UP_A]),
        ([named("up"), ne("job", "a")], [UP_B]),
        ([named("up"), re("job", "a|b")], [UP_A, UP_B]),
        ([named("up"), re("job", "[b-z]")], [UP_B]),
        ([named("up"), nre("job", "a.*")], [UP_B]),
        ([named("up"), eq("zone", "")], [UP_A]),
        ([named("up"), ne("zone", "")], [UP_B]),
        ([named("up"), re("zone", "|eu")], [UP_A, UP_B]),
        ([named("up"), re("zone", ".+")], [UP_B]),
        ([named("up"), nre("zone", "eu")], [UP_A]),
        ([named("up"), ne("nothing", "x")], [UP_A, UP_B]),
        ([named("up"), eq("job", "a"), eq("job", "b")], []),
        ([named("up"), named("load")], []),
        ([eq("job", "a")], [UP_A]),
        ([ne("job", "")], [UP_A, UP_B]),
        ([eq("job", "")], [LOAD]),
        ([re("__name__", "up|load")], [LOAD, UP_A, UP_B]),
        ([re("__name__", "u.+")], [UP_A, UP_B]),
        ([nre("__name__", "u.+")], [LOAD]),
        ([ne("__name__", "load"), eq("zone", "eu")], [UP_B]),
        ([named("up"), re("__name__", "l.*")], []),
        ([eq("job", "a\0")], []),
        ([eq("job", "\ud800")], []),
    ],
    ids=repr,
)
def test_matchers_choose_series(storage: Kit, matchers: list, expected: list) -> None:
    storage.append([(labels, 10, 1.0) for labels in (UP_A, UP_B, LOAD)])

    assert list(storage.read(*matchers)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "Ünï",
        "it's",
        'say "no"',
        "C:\\temp\\n",
        "😀",
        "%s %(x)s",
        "{a,b}",
        "\x01\n\t",
        "\ufffe",
        "a" * 4096,
    ],
)
def test_any_text_survives_as_a_label(storage: Kit, value: str) -> None:
    labels = series(f"m {value}", **{f"k {value}": value})
    storage.append([(labels, 10, 1.0)])

    assert storage.read(eq(f"k {value}", value)) == {labels: [(10, 1.0)]}
    assert storage.read(named(f"m {value}"), ne(f"k {value}", "")) == {labels: [(10, 1.0)]}


def test_new_series_appear_in_a_selection_made_before(storage: Kit) -> None:
    storage.append([(UP_B, 10, 1.0)])
    assert list(storage.read(named("up"))) == [UP_B]
    assert list(storage.read(re("__name__", "u.*"))) == [UP_B]

    storage.append([(UP_A, 10, 1.0), (series("uq"), 10, 1.0)])

    assert list(storage.read(named("up"))) == [UP_A, UP_B]
    assert list(storage.read(re("__name__", "u.*"))) == [UP_A, UP_B, series("uq")]


def test_a_budget_allows_exactly_its_samples(storage: Kit) -> None:
    storage.append([(UP_A, time_ms, 1.0) for time_ms in range(10)])

    assert len(storage.engine.select([named("up")], 0, 9, plenty(10)).values) == 10
    with pytest.raises(LimitExceeded, match="TIDEGAUGE_QUERY_MAX_SAMPLES") as caught:
        storage.engine.select([named("up")], 0, 9, plenty(9))

    assert (caught.value.reached, caught.value.allowed) == (10, 9)
    assert len(storage.read(named("up"))[UP_A]) == 10


def test_a_deadline_that_has_passed_is_refused(storage: Kit) -> None:
    storage.append([(UP_A, 10, 1.0)])
    late = ReadBudget(max_samples=10, deadline_s=time.monotonic() - 1)

    with pytest.raises(DeadlineExceeded):
        storage.engine.select([named("up")], 0, 100, late)


def test_many_series_and_samples_come_back_exactly(storage: Kit) -> None:
    random = np.random.default_rng(seed=7)
    all_series = [series(f"m{i % 7}", i=str(i)) for i in range(500)]
    expected: dict = {}
    for _ in range(12):
        chosen = random.permutation(500)[: int(random.integers(1, 500))]
        samples = [
            (all_series[i], int(random.integers(0, 50)), float(value))
            for i, value in zip(chosen, random.random(len(chosen)), strict=True)
        ]
        storage.append(samples[: len(samples) // 2], samples[len(samples) // 2 :])
        for labels, time_ms, value in samples:
            expected.setdefault(labels, {})[time_ms] = value

    found = storage.read(re("__name__", "m.*"))

    assert found == {labels: sorted(points.items()) for labels, points in expected.items()}
    third = storage.read(named("m3"), re("i", ".*1.*"), start_ms=10, end_ms=30)
    assert third == {
        labels: kept
        for labels, points in expected.items()
        if dict(labels)["__name__"] == "m3" and "1" in dict(labels)["i"]
        if (kept := [(at, value) for at, value in sorted(points.items()) if 10 <= at <= 30])
    }


def test_a_regular_grid_comes_back_exactly(storage: Kit) -> None:
    grid = [series("g", i=str(i)) for i in range(50)]
    for step in range(40):
        storage.append(
            [(labels, step * 1000, step + place / 100) for place, labels in enumerate(grid)]
        )

    found = storage.read(named("g"), start_ms=3000, end_ms=33_000)

    assert found == {
        labels: [(step * 1000, step + place / 100) for step in range(3, 34)]
        for place, labels in enumerate(grid)
    }


def test_many_threads_append_and_nothing_is_lost(storage: Kit) -> None:
    batches = [
        [
            storage.batch([(series("t", w=str(w)), i, float(i)), (UP_A, 100 * w + i, 0.0)])
            for i in range(20)
        ]
        for w in range(4)
    ]
    stored: list[bytes] = []

    def work(mine: list) -> None:
        for batch in mine:
            stored.extend(storage.engine.append(batch))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(set(stored)) == 80
    assert [len(points) for points in storage.read(named("t")).values()] == [20] * 4
    assert len(storage.read(named("up"))[UP_A]) == 80
