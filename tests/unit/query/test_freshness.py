"""Which answers were overtaken by writes; held against a plain list of all writes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidegauge.errors import Unavailable
from tidegauge.query.freshness import WatchedSamples, WriteWatch
from tidegauge.storage.protocol import StoredBatch


def make_batch(*times_ms: int) -> StoredBatch:
    count = len(times_ms)
    return StoredBatch(
        message_ids=[bytes(16)],
        message_index=np.zeros(count, np.int32),
        series_ids=np.ones(count, np.int32),
        metric_ids=np.ones(count, np.int32),
        times_ms=np.array(times_ms, np.int64),
        values=np.zeros(count),
    )


class Fails:
    """Samples that may be stored, and nobody can say."""

    def append(self, batch):
        """Fail."""
        raise Unavailable("the database is away")


class Takes:
    """Samples that are stored."""

    def append(self, batch):
        """Store nothing and say it was new."""
        return batch.message_ids


@given(st.lists(st.integers(0, 20)), st.integers(0, 20))
def test_it_tells_what_a_list_of_all_writes_tells(times_ms, until_ms) -> None:
    watch, marks = WriteWatch(), []
    for time_ms in times_ms:
        marks.append(watch.mark())
        watch.note(time_ms)

    touched = [watch.is_touched(mark, until_ms) for mark in marks]

    assert touched == [min(times_ms[i:]) <= until_ms for i in range(len(times_ms))]
    assert not watch.is_touched(watch.mark(), until_ms)


def test_what_it_no_longer_knows_counts_as_touched() -> None:
    watch = WriteWatch(max_notes=3)
    early = watch.mark()
    for time_ms in range(100, 103):
        watch.note(time_ms)
    assert not watch.is_touched(early, 50)

    watch.note(103)

    assert watch.is_touched(early, 50)
    assert not watch.is_touched(early + 1, 50)


def test_appended_samples_touch_the_ranges_that_they_reach_into() -> None:
    watch = WriteWatch()
    mark = watch.mark()

    WatchedSamples(Takes(), watch).append(make_batch(2000, 1500, 3000))

    assert not watch.is_touched(mark, 1499)
    assert watch.is_touched(mark, 1500)


def test_samples_that_may_have_been_stored_count_as_stored() -> None:
    watch = WriteWatch()
    mark = watch.mark()

    with pytest.raises(Unavailable):
        WatchedSamples(Fails(), watch).append(make_batch(1500))

    assert watch.is_touched(mark, 1500)


def test_an_empty_batch_touches_nothing() -> None:
    watch = WriteWatch()
    mark = watch.mark()

    WatchedSamples(Takes(), watch).append(make_batch())

    assert not watch.is_touched(mark, 1 << 60)
