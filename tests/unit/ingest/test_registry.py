"""The series registry: bounded, two generations, packed ids."""

from __future__ import annotations

import numpy as np
import pytest
from tidegauge.ingest.registry import FORM_BYTES, SeriesRegistry, pack_key, unpack_ids
from tidegauge.storage.protocol import SeriesKey


@pytest.mark.parametrize("ids", [(1, 1), (2**31 - 1, 2**31 - 1), (7, 2**31 - 1), (2**31 - 1, 1)])
def test_ids_come_out_of_a_packed_key_as_they_went_in(ids: tuple[int, int]) -> None:
    packed = np.array([pack_key(SeriesKey(*ids))], np.int64)

    series_ids, metric_ids = unpack_ids(packed)

    assert (series_ids.dtype, metric_ids.dtype) == (np.int32, np.int32)
    assert (series_ids.tolist(), metric_ids.tolist()) == ([ids[0]], [ids[1]])


def test_what_was_learned_is_found_and_nothing_else() -> None:
    registry = SeriesRegistry(max_series=10)
    registry.learn(b"a", 5)

    assert registry.find(b"a") == 5
    assert registry.find(b"b") == 0


def test_what_is_in_use_survives_any_number_of_new_series() -> None:
    registry = SeriesRegistry(max_series=10)
    registry.learn("in use", 1)

    for number in range(200):
        registry.learn(number, number + 2)
        assert registry.find("in use") == 1


def test_it_never_holds_more_than_two_generations() -> None:
    registry = SeriesRegistry(max_series=10)

    for number in range(200):
        registry.learn(number, number + 1)
        assert registry.size() <= 20

    assert registry.find(0) == 0
    assert registry.find(199) == 200


def test_learning_again_changes_what_is_found() -> None:
    registry = SeriesRegistry(max_series=10)
    registry.learn(b"a", 5)
    registry.learn(b"a", 6)

    assert registry.find(b"a") == 6
    assert registry.size() == 1


@pytest.mark.parametrize(
    "wrap", [lambda text: text, lambda text: ("m", text)], ids=["wire", "json"]
)
def test_long_forms_are_not_held_beyond_the_room_for_all(wrap) -> None:
    registry = SeriesRegistry(max_series=1000)

    for number in range(500):
        registry.learn(wrap(b"%d" % number + b" " * 30_000), number + 1)
        # Two generations, each with its room and the one form that was over it.
        assert registry.size() * 30_000 <= 2 * (1000 * FORM_BYTES + 30_000)

    assert registry.find(wrap(b"499" + b" " * 30_000)) == 500


def test_a_huge_form_is_not_held_at_all() -> None:
    registry = SeriesRegistry(max_series=1000)
    registry.learn(("m", b" " * 1_000_000), 1)
    registry.learn(b" " * 1_000_000, 1)

    assert registry.size() == 0
