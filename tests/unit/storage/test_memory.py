from __future__ import annotations

import threading

import numpy as np
import pytest
from tidegauge.errors import DeadlineExceeded, LimitExceeded
from tidegauge.model.batch import MetricMetadata
from tidegauge.model.labels import make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.stale import STALE_BITS, STALE_NAN
from tidegauge.storage.memory import MemoryStorage
from tidegauge.storage.protocol import Catalogue, ReadBudget, SampleEngine, StoredBatch

PLENTY = ReadBudget(max_samples=1_000_000, deadline_s=float("inf"))
UP = make_labels({"__name__": "up", "job": "a"})
UP_B = make_labels({"__name__": "up", "job": "b"})


def batch_of(storage, samples, *, message_id=b"m" * 16):
    keys = storage.register_series([labels for labels, _, _ in samples])
    ids = [keys[labels] for labels, _, _ in samples]
    return StoredBatch(
        message_ids=[message_id],
        message_index=np.zeros(len(samples), np.int32),
        series_ids=np.array([key.series_id for key in ids], np.int32),
        metric_ids=np.array([key.metric_id for key in ids], np.int32),
        times_ms=np.array([time_ms for _, time_ms, _ in samples], np.int64),
        values=np.array([value for _, _, value in samples], np.float64),
    )


def named(name):
    return [Matcher(MatchType.EQUAL, "__name__", name)]


@pytest.fixture
def storage():
    return MemoryStorage(monotonic=lambda: 0.0, clock_ms=lambda: 5000)


def test_it_fits_both_protocols(storage):
    engine: SampleEngine = storage
    catalogue: Catalogue = storage

    assert engine.append is not None
    assert catalogue.read_series_count() == 0


def test_samples_come_back_sorted_by_labels_and_time(storage):
    storage.append(batch_of(storage, [(UP_B, 20, 2.0), (UP, 30, 3.0), (UP_B, 10, 1.0)]))

    frame = storage.select(named("up"), 0, 100, PLENTY)

    assert frame.labels == [UP, UP_B]
    assert frame.offsets.tolist() == [0, 1, 3]
    assert frame.times_ms.tolist() == [30, 10, 20]
    assert frame.values.tolist() == [3.0, 1.0, 2.0]


def test_the_last_write_to_arrive_wins(storage):
    storage.append(batch_of(storage, [(UP, 10, 1.0), (UP, 10, 2.0)]))
    storage.append(batch_of(storage, [(UP, 10, 3.0)], message_id=b"n" * 16))

    assert storage.select(named("up"), 10, 10, PLENTY).values.tolist() == [3.0]


def test_a_message_counts_once(storage):
    first = storage.append(batch_of(storage, [(UP, 10, 1.0)]))
    again = storage.append(batch_of(storage, [(UP, 10, 9.0), (UP, 20, 9.0)]))

    assert (list(first), list(again)) == ([b"m" * 16], [])
    assert storage.select(named("up"), 0, 100, PLENTY).values.tolist() == [1.0]


def test_stale_markers_keep_their_bits(storage):
    storage.append(batch_of(storage, [(UP, 10, 1.0), (UP, 20, STALE_NAN[0])]))

    values = storage.select(named("up"), 0, 100, PLENTY).values

    assert values.view(np.uint64)[1] == STALE_BITS


def test_the_range_is_closed_on_both_ends(storage):
    storage.append(batch_of(storage, [(UP, time_ms, 0.0) for time_ms in (9, 10, 20, 21)]))

    assert storage.select(named("up"), 10, 20, PLENTY).times_ms.tolist() == [10, 20]


def test_a_missing_label_counts_as_empty(storage):
    storage.append(batch_of(storage, [(UP, 10, 1.0)]))

    matchers = [*named("up"), Matcher(MatchType.NOT_EQUAL, "zone", "x")]

    assert storage.select(matchers, 0, 100, PLENTY).labels == [UP]


def test_too_many_samples_name_the_setting(storage):
    storage.append(batch_of(storage, [(UP, 10, 1.0), (UP, 20, 1.0)]))

    with pytest.raises(LimitExceeded, match="TIDEGAUGE_QUERY_MAX_SAMPLES") as caught:
        storage.select(named("up"), 0, 100, ReadBudget(max_samples=1, deadline_s=1.0))

    assert (caught.value.reached, caught.value.allowed) == (2, 1)


def test_too_many_series_name_the_setting(storage):
    storage.register_series([UP, UP_B])
    tight = ReadBudget(max_samples=1, deadline_s=1.0, max_series=1)

    with pytest.raises(LimitExceeded, match="TIDEGAUGE_QUERY_MAX_SERIES"):
        storage.select(named("up"), 0, 100, tight)
    with pytest.raises(LimitExceeded, match="TIDEGAUGE_QUERY_MAX_SERIES"):
        storage.list_series([], None, None, limit=0, budget=tight)


def test_a_past_deadline_is_refused(storage):
    late = ReadBudget(max_samples=1, deadline_s=0.0)

    with pytest.raises(DeadlineExceeded):
        storage.select(named("up"), 0, 100, late)
    with pytest.raises(DeadlineExceeded):
        storage.list_series([], None, None, limit=0, budget=late)


def test_listings_know_what_was_written_since(storage):
    keys = storage.register_series([UP, UP_B])
    storage.touch_series(np.array([keys[UP_B].series_id], np.int32), 9000)

    assert storage.list_series([], 6000, None, limit=0, budget=PLENTY) == [UP_B]
    assert storage.list_series([named("up")], None, None, limit=1, budget=PLENTY) == [UP]
    assert storage.list_label_names([], None, None, limit=0, budget=PLENTY) == ["__name__", "job"]
    assert storage.list_label_values("job", [], 1, None, limit=0, budget=PLENTY) == ["a", "b"]


def test_metrics_are_listed_with_what_was_said_of_them(storage):
    storage.register_series([UP, UP_B])
    storage.store_metadata([MetricMetadata("up", type="gauge", help="old")])
    storage.store_metadata([MetricMetadata("up", help="new"), MetricMetadata("zz", unit="s")])

    rows = storage.list_metrics(search="", after="", limit=10, budget=PLENTY)

    assert [(row.name, row.type, row.description, row.series) for row in rows] == [
        ("up", "gauge", "new", 2),
        ("zz", "", "", 0),
    ]
    assert [row.last_seen_ms for row in rows] == [5000, None]
    assert storage.list_metrics(search="z", after="up", limit=1, budget=PLENTY) == rows[1:]
    assert storage.read_metadata("up", 0) == {"up": MetricMetadata("up", "gauge", "", "new")}
    assert list(storage.read_metadata("", 1)) == ["up"]


def test_cardinality_names_the_widest_key(storage):
    storage.register_series([UP, UP_B, make_labels({"__name__": "up", "job": "b", "z": "1"})])

    found = storage.read_cardinality(["up", "gone"])

    assert (found["up"].series, found["up"].widest_key, found["up"].widest_key_values) == (
        3,
        "job",
        2,
    )
    assert found["gone"].series == 0


def test_many_threads_lose_nothing(storage):
    def write(number):
        for round_number in range(50):
            message_id = bytes([number, round_number]) * 8
            storage.append(
                batch_of(storage, [(UP, number * 50 + round_number, 1.0)], message_id=message_id)
            )

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert len(storage.select(named("up"), 0, 10_000, PLENTY).times_ms) == 400
