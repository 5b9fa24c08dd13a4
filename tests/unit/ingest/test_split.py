"""A large batch in parts: none too large, nothing lost, and each series in its order."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from tidegauge.ingest.codec import encode_batch
from tidegauge.ingest.split import split_batch
from tidegauge.model.batch import MetricMetadata, SampleBatch

SEED = 20_261_124


def make_batch(series_ids: Sequence[int], *, new: int = 0, said: int = 0) -> SampleBatch:
    ids = np.array(series_ids, np.int32)
    return SampleBatch(
        series_ids=ids,
        metric_ids=np.where(ids > 0, 7, 0).astype(np.int32),
        times_ms=np.arange(len(ids), dtype=np.int64),
        values=np.arange(len(ids), dtype=np.float64),
        new_series=tuple(
            (("__name__", "up"), ("n", f"{number}-{'x' * (number % 300)}")) for number in range(new)
        ),
        metadata=tuple(MetricMetadata(f"m{number}", help="h" * 50) for number in range(said)),
    )


def samples_of(batches: Sequence[SampleBatch]) -> dict[object, list[tuple[int, float]]]:
    """Return what each series, by id or label set, gets, in order."""
    found: dict[object, list[tuple[int, float]]] = defaultdict(list)
    for batch in batches:
        for series, at, value in zip(batch.series_ids, batch.times_ms, batch.values, strict=True):
            key = int(series) if series > 0 else batch.new_series[-1 - series]
            found[key].append((int(at), float(value)))
    return found


def test_a_batch_that_fits_stays_as_it_is() -> None:
    batch = make_batch([1, -1, 2], new=1, said=1)

    assert list(split_batch(batch, max_bytes=len(encode_batch(batch)) + 11)) == [batch]


@pytest.mark.parametrize("max_bytes", [1000, 4096, 20_000])
def test_parts_keep_the_bound_and_every_sample_in_order(max_bytes: int) -> None:
    rng = random.Random(SEED)
    ids = [rng.choice([rng.randrange(1, 30), -rng.randrange(1, 200)]) for _ in range(5000)]
    batch = make_batch(ids, new=200, said=40)

    parts = list(split_batch(batch, max_bytes=max_bytes))

    assert len(parts) > 1
    assert max(len(encode_batch(part)) for part in parts) <= max_bytes
    assert samples_of(parts) == samples_of([batch])
    assert [one for part in parts for one in part.metadata] == list(batch.metadata)


def test_labels_travel_only_with_the_parts_that_use_them() -> None:
    batch = make_batch([-1 - number % 100 for number in range(2000)], new=100)

    parts = list(split_batch(batch, max_bytes=2000))

    for part in parts:
        assert {-1 - number for number in range(len(part.new_series))} == set(
            part.series_ids.tolist()
        )
        assert not part.metric_ids.any()


def test_one_series_larger_than_a_part_takes_its_labels_into_each() -> None:
    batch = make_batch([-1] * 500, new=1)

    parts = list(split_batch(batch, max_bytes=1000))

    assert max(len(encode_batch(part)) for part in parts) <= 1000
    assert {part.new_series for part in parts} == {batch.new_series}
    assert samples_of(parts) == samples_of([batch])


def test_a_label_set_longer_than_a_part_goes_alone() -> None:
    labels = (("__name__", "up"), ("long", "x" * 5000))
    batch = make_batch([5, -1, 6])
    batch = SampleBatch(batch.series_ids, batch.metric_ids, batch.times_ms, batch.values, (labels,))

    parts = list(split_batch(batch, max_bytes=1000))

    assert [part.series_ids.tolist() for part in parts] == [[-1], [5, 6]]


def test_metadata_alone_is_split() -> None:
    batch = make_batch([], said=100)

    parts = list(split_batch(batch, max_bytes=1000))

    assert max(len(encode_batch(part)) for part in parts) <= 1000
    assert [one for part in parts for one in part.metadata] == list(batch.metadata)
