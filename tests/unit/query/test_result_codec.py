"""Results as bytes: back bit for bit, and nothing else is taken for one."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.value import Annotations, Matrix, Result, Scalar, Text, Vector
from tidegauge.query.result_codec import (
    MAGIC,
    Evaluation,
    Kept,
    NotAResult,
    count_bytes,
    decode_kept,
    encode_kept,
)

KEY = bytes(range(32))
STALE = np.frombuffer(bytes.fromhex("020000000000f07f"), "<f8")[0]

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_LABELS = st.lists(st.tuples(_TEXTS, _TEXTS), max_size=3).map(tuple)
_INT64 = st.integers(-(1 << 61), 1 << 61)
# Every bit pattern, so NaNs with payloads too.
_FLOATS = st.integers(0, (1 << 64) - 1)


def floats(shape):
    return arrays.arrays(np.uint64, shape, elements=_FLOATS).map(lambda bits: bits.view("<f8"))


@st.composite
def values(draw):
    kind, steps = (
        draw(st.sampled_from(["vector", "scalar", "text", "matrix"])),
        draw(st.integers(1, 5)),
    )
    steps_ms = draw(arrays.arrays(np.int64, steps, elements=_INT64))
    labels = draw(st.lists(_LABELS, max_size=4))
    if kind == "scalar":
        return steps_ms, Scalar(draw(floats(steps)))
    if kind == "text":
        return steps_ms, Text(draw(_TEXTS))
    if kind == "vector":
        shape = (len(labels), steps)
        present = draw(arrays.arrays(np.bool_, shape))
        drop_name = draw(arrays.arrays(np.bool_, len(labels)))
        return steps_ms, Vector(labels, draw(floats(shape)), present, drop_name)
    sizes = [draw(st.integers(0, 3)) for _ in labels]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    count = int(offsets[-1])
    times_ms = draw(arrays.arrays(np.int64, count, elements=_INT64))
    return steps_ms, Matrix(SeriesFrame(labels, offsets, times_ms, draw(floats(count))))


@st.composite
def kepts(draw):
    steps_ms, value = draw(values())
    notes = Annotations(draw(st.lists(_TEXTS, max_size=2)), draw(st.lists(_TEXTS, max_size=2)))
    result = Result(value, steps_ms, notes, draw(st.integers(0, 1 << 40)))
    evaluation = Evaluation(result, draw(st.integers(0, 1 << 40)), draw(_INT64))
    return Kept(
        evaluation, draw(_TEXTS), draw(st.integers(0, 1 << 40)), draw(st.binary(max_size=16))
    )


def make_kept(value=None) -> Kept:
    value = value or Vector(
        [(("__name__", "cpu"),)], np.array([[1.0, STALE]]), np.ones((1, 2), bool), np.zeros(1, bool)
    )
    result = Result(value, np.array([1000, 2000]), Annotations(), 2)
    return Kept(Evaluation(result, 1, 2000), "id", 3, b"text")


def bits(array: np.ndarray) -> list[int]:
    return np.ascontiguousarray(array, "<f8").view(np.uint64).ravel().tolist()


def assert_same_value(got, wanted) -> None:
    assert type(got) is type(wanted)
    if isinstance(wanted, Vector):
        assert got.labels == wanted.labels
        assert got.values.shape == wanted.values.shape
        assert bits(got.values) == bits(wanted.values)
        np.testing.assert_array_equal(got.present, wanted.present)
        np.testing.assert_array_equal(got.drop_name, wanted.drop_name)
    elif isinstance(wanted, Scalar):
        assert bits(got.values) == bits(wanted.values)
    elif isinstance(wanted, Text):
        assert got.value == wanted.value
    else:
        assert got.frame.labels == wanted.frame.labels
        np.testing.assert_array_equal(got.frame.offsets, wanted.frame.offsets)
        np.testing.assert_array_equal(got.frame.times_ms, wanted.frame.times_ms)
        assert bits(got.frame.values) == bits(wanted.frame.values)


@given(kepts())
def test_a_result_comes_back_bit_for_bit(kept) -> None:
    back = decode_kept(encode_kept(kept, key=KEY), key=KEY)

    assert (back.id, back.mark, back.text_digest) == (kept.id, kept.mark, kept.text_digest)
    got, wanted = back.evaluation, kept.evaluation
    assert (got.series_read, got.until_ms) == (wanted.series_read, wanted.until_ms)
    assert got.result.samples_read == wanted.result.samples_read
    assert got.result.annotations == wanted.result.annotations
    np.testing.assert_array_equal(got.result.steps_ms, wanted.result.steps_ms)
    assert_same_value(got.result.value, wanted.result.value)


def test_stale_markers_and_views_of_one_column_survive() -> None:
    column = np.array([[STALE], [2.0]])
    vector = Vector(
        [(), (("a", "b"),)],
        np.broadcast_to(column, (2, 2)),
        np.broadcast_to(np.array([[True], [False]]), (2, 2)),
        np.array([True, False]),
    )

    back = decode_kept(encode_kept(make_kept(vector), key=KEY), key=KEY)

    assert_same_value(back.evaluation.result.value, vector)


@given(st.data())
def test_any_changed_or_missing_byte_is_found_out(data) -> None:
    good = encode_kept(make_kept(), key=KEY)
    place = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[place] ^= data.draw(st.integers(1, 255))

    for bad in (bytes(changed), good[:place]):
        with pytest.raises(NotAResult):
            decode_kept(bad, key=KEY)


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_even_with_a_fitting_front(foreign) -> None:
    front = MAGIC + zlib.crc32(foreign).to_bytes(4, "little")

    for bad in (
        foreign,
        *(front + size.to_bytes(4, "little") + foreign for size in (0, 50, 2**31)),
    ):
        with pytest.raises(NotAResult):
            decode_kept(bad, key=KEY)


def test_a_result_under_another_key_is_refused() -> None:
    good = encode_kept(make_kept(), key=KEY)

    with pytest.raises(NotAResult, match="another query"):
        decode_kept(good, key=bytes(32))


def test_another_version_is_refused() -> None:
    good = encode_kept(make_kept(), key=KEY)

    with pytest.raises(NotAResult, match="version"):
        decode_kept(b"TGR\x00" + good[4:], key=KEY)


def test_what_was_read_back_cannot_be_changed() -> None:
    back = decode_kept(encode_kept(make_kept(), key=KEY), key=KEY)

    value = back.evaluation.result.value
    assert isinstance(value, Vector)
    for array in (value.values, value.present, back.evaluation.result.steps_ms):
        assert not array.flags.writeable


@given(kepts())
def test_the_size_is_known_about_before_it_is_made(kept) -> None:
    assert count_bytes(kept.evaluation.result) <= len(encode_kept(kept, key=KEY)) + 64
