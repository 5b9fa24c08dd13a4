"""The cardinality guard admits within limits, and says why not."""

from __future__ import annotations

import threading

import pytest
from tidegauge.ingest.cardinality import (
    BELIEVED_S,
    FORGOTTEN_S,
    CardinalityGuard,
    CardinalityLimits,
    Road,
)
from tidegauge.model.labels import Labels
from tidegauge.storage.memory import MemoryStorage


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def guard(storage: MemoryStorage, clock: Clock) -> CardinalityGuard:
    limits = CardinalityLimits(per_metric_json=3, per_metric_prometheus=5, total=8)
    return CardinalityGuard(catalogue=storage, limits=limits, monotonic=clock)


def series(count: int, name: str = "cpu", *, first: int = 0) -> list[Labels]:
    return [
        (("__name__", name), ("host", f"h{number}"), ("zone", "a"))
        for number in range(first, first + count)
    ]


@pytest.mark.parametrize(("road", "room"), [(Road.JSON, 3), (Road.PROMETHEUS, 5)])
def test_each_road_has_its_own_limit_per_metric(guard, road: Road, room: int) -> None:
    refused = guard.admit(series(7), road)

    assert list(refused) == series(7)[room:]


def test_a_refusal_names_limit_value_setting_and_the_widest_tag_key(guard, storage) -> None:
    storage.register_series(series(3))

    reason = guard.admit(series(1, first=3), Road.JSON)[series(1, first=3)[0]]

    for part in ("'cpu'", "3 series", "limit", "TIDEGAUGE_SERIES_PER_METRIC_JSON", "'host'"):
        assert part in reason


def test_the_limit_in_all_is_named_too(guard) -> None:
    guard.admit(series(4, "a") + series(4, "b"), Road.PROMETHEUS)

    (reason,) = guard.admit(series(1, "c"), Road.PROMETHEUS).values()

    assert "TIDEGAUGE_SERIES_TOTAL" in reason
    assert "8" in reason


def test_a_storm_between_two_counts_cannot_overshoot(guard) -> None:
    admitted = 0
    for first in range(0, 50, 2):
        admitted += 2 - len(guard.admit(series(2, first=first), Road.PROMETHEUS))

    assert admitted == 5


def test_a_storm_from_many_threads_cannot_overshoot(guard) -> None:
    refused: list[int] = []
    threads = [
        threading.Thread(
            target=lambda at=at: refused.append(
                len(guard.admit(series(10, first=at), Road.PROMETHEUS))
            )
        )
        for at in range(0, 80, 10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 80 - sum(refused) == 5


def test_the_same_series_asked_for_twice_counts_once(guard) -> None:
    assert guard.admit(series(3), Road.JSON) == {}
    assert guard.admit(series(3), Road.JSON) == {}


def test_series_that_were_registered_meanwhile_are_not_counted_twice(guard, storage, clock) -> None:
    guard.admit(series(3), Road.PROMETHEUS)
    storage.register_series(series(3))
    clock.now_s += BELIEVED_S

    assert len(guard.admit(series(4, first=3), Road.PROMETHEUS)) == 2


def test_series_that_are_still_on_their_way_stay_counted(guard, clock) -> None:
    guard.admit(series(3), Road.PROMETHEUS)
    clock.now_s += BELIEVED_S

    assert len(guard.admit(series(4, first=3), Road.PROMETHEUS)) == 2


def test_series_that_got_lost_on_the_way_make_room_again(guard, clock) -> None:
    guard.admit(series(5), Road.PROMETHEUS)
    clock.now_s += FORGOTTEN_S

    assert guard.admit(series(5, first=10), Road.PROMETHEUS) == {}


def test_series_registered_by_others_are_seen_after_a_while(guard, storage, clock) -> None:
    guard.admit(series(1), Road.PROMETHEUS)
    storage.register_series(series(5))
    clock.now_s += BELIEVED_S

    assert len(guard.admit(series(1, first=7), Road.PROMETHEUS)) == 1
