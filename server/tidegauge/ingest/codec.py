"""A sample batch as bytes: what a message on the queue carries.

Version 1: a header, then the columns one after another (times, values, series ids, metric ids,
little-endian), then new label sets and metadata as MessagePack.
"""

from __future__ import annotations

import struct

import msgspec
import numpy as np

from tidegauge.errors import InvalidInput
from tidegauge.model.batch import MetricMetadata, SampleBatch
from tidegauge.model.labels import METRIC_NAME, Labels, find_label

CODEC_VERSION = 1
SAMPLE_BYTES = 24

_MAGIC = b"TGB1"
_HEADER = struct.Struct("<4sII4x")
HEADER_BYTES = _HEADER.size

_Tail = tuple[tuple[Labels, ...], tuple[tuple[str, str, str, str], ...]]
_tail_decoder = msgspec.msgpack.Decoder(_Tail)


def encode_batch(batch: SampleBatch) -> bytes:
    """Return the batch as bytes of CODEC_VERSION."""
    tail = b""
    if batch.new_series or batch.metadata:
        said = [(one.name, one.type, one.unit, one.help) for one in batch.metadata]
        tail = msgspec.msgpack.encode((batch.new_series, said))
    return b"".join(
        (
            _HEADER.pack(_MAGIC, batch.count, len(tail)),
            np.ascontiguousarray(batch.times_ms, "<i8").data,
            np.ascontiguousarray(batch.values, "<f8").data,
            np.ascontiguousarray(batch.series_ids, "<i4").data,
            np.ascontiguousarray(batch.metric_ids, "<i4").data,
            tail,
        )
    )


def decode_batch(body: bytes, version: int) -> SampleBatch:
    """Return the batch in these bytes; its columns are read-only views of them.

    Raises:
        InvalidInput: another version, cut short, or ids that point nowhere.
    """
    if version != CODEC_VERSION:
        raise InvalidInput(f"message codec {version} is not known, only {CODEC_VERSION}")
    if len(body) < _HEADER.size:
        raise InvalidInput(f"message of {len(body)} bytes is shorter than its header")
    magic, count, tail_bytes = _HEADER.unpack_from(body)
    expected = _HEADER.size + count * SAMPLE_BYTES + tail_bytes
    if magic != _MAGIC or len(body) != expected:
        raise InvalidInput(f"message of {len(body)} bytes is damaged: {expected} were expected")
    columns = np.frombuffer(body, np.uint8, count=count * SAMPLE_BYTES, offset=_HEADER.size)
    times_ms, values, series_ids, metric_ids = (
        columns[start * count : end * count].view(kind)
        for start, end, kind in ((0, 8, "<i8"), (8, 16, "<f8"), (16, 20, "<i4"), (20, 24, "<i4"))
    )
    new_series, metadata = _decode_tail(body[expected - tail_bytes :]) if tail_bytes else ((), ())
    known = series_ids > 0
    if not np.array_equal(known, metric_ids > 0):
        raise InvalidInput("message is damaged: series and metric ids do not fit together")
    if (count and int(series_ids.min()) < -len(new_series)) or not (series_ids != 0).all():
        raise InvalidInput("message is damaged: a sample points to a series that is not there")
    return SampleBatch(series_ids, metric_ids, times_ms, values, new_series, metadata)


def _decode_tail(tail: bytes) -> tuple[tuple[Labels, ...], tuple[MetricMetadata, ...]]:
    try:
        new_series, said = _tail_decoder.decode(tail)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidInput(f"message is damaged: {exc}") from exc
    for labels in new_series:
        if not find_label(labels, METRIC_NAME):
            raise InvalidInput(f"message is damaged: series {labels!r} has no metric name")
    return new_series, tuple(MetricMetadata(*one) for one in said)
