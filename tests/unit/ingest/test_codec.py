"""A batch survives the queue bit by bit, and damaged bytes never become a batch."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tidegauge.errors import InvalidInput
from tidegauge.ingest.codec import CODEC_VERSION, decode_batch, encode_batch
from tidegauge.model.batch import MetricMetadata, SampleBatch
from tidegauge.model.stale import STALE_NAN

NEW = ((("__name__", "up"), ("zone", "日本")), (("__name__", "down"),))
SAID = (MetricMetadata("up", "gauge", "", "Whether it is up."),)


def make_batch(new_series=NEW, metadata=SAID) -> SampleBatch:
    return SampleBatch(
        series_ids=np.array([5, -1, -2, 2**31 - 1], np.int32),
        metric_ids=np.array([3, 0, 0, 2**31 - 1], np.int32),
        times_ms=np.array([-1, 0, 2**62, 1_763_900_000_000], np.int64),
        values=np.array([1.5, STALE_NAN[0], -0.0, np.inf]),
        new_series=new_series,
        metadata=metadata,
    )


def assert_equal(found: SampleBatch, expected: SampleBatch) -> None:
    assert found.series_ids.tolist() == expected.series_ids.tolist()
    assert found.metric_ids.tolist() == expected.metric_ids.tolist()
    assert found.times_ms.tolist() == expected.times_ms.tolist()
    assert found.values.view("u8").tolist() == expected.values.view("u8").tolist()
    assert (found.new_series, found.metadata) == (expected.new_series, expected.metadata)


def test_a_batch_comes_back_bit_by_bit() -> None:
    batch = make_batch()

    assert_equal(decode_batch(encode_batch(batch), CODEC_VERSION), batch)


def test_a_batch_of_metadata_alone_comes_back() -> None:
    nothing = SampleBatch(
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.int64),
        np.zeros(0),
        metadata=SAID,
    )

    assert_equal(decode_batch(encode_batch(nothing), CODEC_VERSION), nothing)


def test_another_version_is_refused() -> None:
    with pytest.raises(InvalidInput, match="codec 9"):
        decode_batch(encode_batch(make_batch()), 9)


def test_every_truncation_is_refused() -> None:
    body = encode_batch(make_batch())

    for size in range(len(body)):
        with pytest.raises(InvalidInput):
            decode_batch(body[:size], CODEC_VERSION)


@pytest.mark.parametrize("seed", range(5))
def test_flipped_bits_give_a_batch_within_bounds_or_are_refused(seed: int) -> None:
    rng, body = random.Random(seed), encode_batch(make_batch())
    decoded = refused = 0

    for _ in range(500):
        damaged = bytearray(body)
        damaged[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        try:
            batch = decode_batch(bytes(damaged), CODEC_VERSION)
        except InvalidInput:
            refused += 1
            continue
        decoded += 1
        assert batch.count == 4
        assert int(batch.series_ids.min()) >= -len(batch.new_series)

    assert decoded
    assert refused


@pytest.mark.parametrize("series_id", [0, -3])
def test_a_sample_of_a_series_that_is_not_there_is_refused(series_id: int) -> None:
    batch = make_batch()
    batch.series_ids[1] = series_id

    with pytest.raises(InvalidInput, match="not there"):
        decode_batch(encode_batch(batch), CODEC_VERSION)


def test_a_new_series_without_a_name_is_refused() -> None:
    batch = make_batch(new_series=((("job", "a"),), NEW[1]))

    with pytest.raises(InvalidInput, match="metric name"):
        decode_batch(encode_batch(batch), CODEC_VERSION)
