"""A large batch in parts that each make a message of bounded size, so that a worker's memory is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from tidegauge.ingest.codec import HEADER_BYTES, SAMPLE_BYTES
from tidegauge.model.batch import SampleBatch

# What MessagePack adds around label sets and metadata: the heads of three arrays.
_FRAME_BYTES = HEADER_BYTES + 11


def split_batch(batch: SampleBatch, *, max_bytes: int) -> Iterator[SampleBatch]:
    """Yield batches that encode to at most max_bytes each, and hold together what this one holds.

    Of one series the samples stay in their order, from part to part too. A part has the labels of
    its own new series only. A label set or a metric's metadata longer than max_bytes is alone.

    Args:
        batch: of any size.
        max_bytes: of an encoded part.
    """
    label_bytes = np.array([_size(labels) for labels in batch.new_series], np.int64)
    said_bytes = [_size((said.name, said.type, said.unit, said.help)) for said in batch.metadata]
    samples_bytes = SAMPLE_BYTES * batch.count + int(label_bytes.sum())
    if _FRAME_BYTES + samples_bytes + sum(said_bytes) <= max_bytes:
        yield batch
        return
    room = max_bytes - _FRAME_BYTES
    nothing = np.zeros(0, np.int64)
    for begin, end in _group(said_bytes, room):
        yield _take(batch, nothing, metadata=batch.metadata[begin:end])
    # In order of series, each one's labels travel with as few parts as can be.
    order = np.argsort(batch.series_ids, kind="stable")
    for begin, end in _group_samples(batch.series_ids[order], label_bytes, room):
        yield _take(batch, order[begin:end])


def _size(value: Any) -> int:
    return len(msgspec.msgpack.encode(value))


def _group(sizes: Sequence[int], room: int) -> Iterator[tuple[int, int]]:
    begin = used = 0
    for place, size in enumerate(sizes):
        if used + size > room and place > begin:
            yield begin, place
            begin, used = place, 0
        used += size
    if begin < len(sizes):
        yield begin, len(sizes)


def _group_samples(
    series_ids: np.ndarray, label_bytes: np.ndarray, room: int
) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of parts of samples that are sorted by series."""
    new = series_ids < 0
    first = new & (np.diff(series_ids, prepend=0) != 0)
    sizes = np.full(len(series_ids), SAMPLE_BYTES, np.int64)
    sizes[first] += label_bytes[-1 - series_ids[first]]
    ends = np.cumsum(sizes)
    begin, before = 0, 0
    while begin < len(ends):
        again = label_bytes[-1 - series_ids[begin]] if new[begin] and not first[begin] else 0
        end = int(np.searchsorted(ends, before + room - again, side="right"))
        end = max(end, begin + 1)
        yield begin, end
        begin, before = end, int(ends[end - 1])


def _take(batch: SampleBatch, chosen: np.ndarray, **more: Any) -> SampleBatch:
    """Return the chosen samples with the new series they use, numbered anew."""
    series_ids = batch.series_ids[chosen]
    new = series_ids < 0
    used, place = np.unique(-1 - series_ids[new], return_inverse=True)
    series_ids[new] = -1 - place
    return SampleBatch(
        series_ids,
        batch.metric_ids[chosen],
        batch.times_ms[chosen],
        batch.values[chosen],
        tuple(batch.new_series[index] for index in used.tolist()),
        **more,
    )
