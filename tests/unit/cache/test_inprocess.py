"""The cache inside a process: bounded, oldest out first, on an injected clock."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidegauge.cache.inprocess import ENTRY_BYTES, InProcessCache

_ROOM_FOR_ONE = ENTRY_BYTES + 1 + 10  # A key of one letter, a value of ten bytes.


class Clock:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_cache(clock: Clock, max_bytes: int) -> InProcessCache:
    numbers = itertools.count(1)
    return InProcessCache(
        max_bytes=max_bytes, monotonic=clock, new_id=lambda: f"token-{next(numbers)}"
    )


def test_a_value_lasts_to_the_end_of_its_time_and_no_longer(clock) -> None:
    cache = make_cache(clock, 10_000)
    cache.set("a", b"x", ttl_s=10)

    clock.now_s += 9.99
    assert cache.get("a") == b"x"
    clock.now_s += 0.01
    assert cache.get("a") is None
    assert cache.held_bytes == 0


def test_when_it_is_full_what_was_not_read_for_longest_goes(clock) -> None:
    cache = make_cache(clock, 3 * _ROOM_FOR_ONE)
    for key in "abc":
        cache.set(key, bytes(10), ttl_s=60)
    cache.get("a")

    cache.set("d", bytes(10), ttl_s=60)

    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]


def test_a_value_too_large_for_all_of_it_is_not_kept_and_pushes_nothing_out(clock) -> None:
    cache = make_cache(clock, 2 * _ROOM_FOR_ONE)
    cache.set("a", bytes(10), ttl_s=60)

    cache.set("b", bytes(10_000), ttl_s=60)

    assert cache.get("a") == bytes(10)
    assert cache.get("b") is None


def test_a_value_too_large_takes_the_place_of_the_one_before(clock) -> None:
    cache = make_cache(clock, _ROOM_FOR_ONE)
    cache.set("a", bytes(10), ttl_s=60)

    cache.set("a", bytes(10_000), ttl_s=60)

    assert cache.get("a") is None


def test_without_room_it_keeps_nothing_and_gives_every_claim(clock) -> None:
    cache = make_cache(clock, 0)
    cache.set("a", b"", ttl_s=60)

    assert cache.get("a") is None
    assert cache.claim("c", ttl_s=60)
    assert cache.claim("c", ttl_s=60)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 2000), st.sampled_from("sgdw")),
        max_size=60,
    )
)
def test_it_never_holds_more_than_it_may_and_counts_what_it_holds(steps) -> None:
    clock = Clock()
    cache = make_cache(clock, 5 * _ROOM_FOR_ONE)
    last: dict[str, bytes] = {}
    for key, size, step in steps:
        if step == "s":
            last[key] = bytes(size)
            cache.set(key, last[key], ttl_s=5)
        elif step == "g":
            assert cache.get(key) in (None, last.get(key))
        elif step == "d":
            cache.delete(key)
            assert cache.get(key) is None
        else:
            clock.now_s += 1
        assert 0 <= cache.held_bytes <= 5 * _ROOM_FOR_ONE

    cache.delete(*"abcdef")

    assert cache.held_bytes == 0
