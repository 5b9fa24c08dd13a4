"""The messages of remote read: requests through protobuf's own parser, answers through NumPy.

A protobuf object for every sample would take a hundred times as long. All samples of a frame have
records of one size: a varint may be longer than it must be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import DecodeError

from tidegauge.compat.remote_read.remote_read_pb2 import Query, ReadRequest
from tidegauge.errors import InvalidInput
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import Labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.protobuf import encode_field
from tidegauge.promql.quoting import to_bytes
from tidegauge.query.times import MAX_TIME_MS

SAMPLES = 0
"""The response type of raw samples in one message; the only one that is served."""

_MATCH_TYPES = (MatchType.EQUAL, MatchType.NOT_EQUAL, MatchType.REGEX, MatchType.NOT_REGEX)
# Field numbers and wire types: a length-delimited field 2, a double 1, a varint 2.
_SAMPLE, _VALUE, _TIMESTAMP = 0x12, 0x09, 0x10
# Milliseconds until the year 2109 fit six groups of seven bits; all of int64 needs ten.
_SHORT_TIME_BYTES, _LONG_TIME_BYTES = 6, 10


@dataclass(frozen=True, slots=True)
class RangeRead:
    """What one query of a request asks for: start_ms <= time <= end_ms, Unix ms."""

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int


def decode_request(body: bytes) -> list[RangeRead]:
    """Return what a request asks for.

    Args:
        body: unpacked.
    Raises:
        InvalidInput: it is no ReadRequest, a matcher is wrong, or it takes chunks only.
    """
    try:
        request = ReadRequest.FromString(body)
    except DecodeError as exc:
        raise InvalidInput(f"the body is no ReadRequest: {exc}") from exc
    accepted = list(request.accepted_response_types)
    if accepted and SAMPLES not in accepted:
        raise InvalidInput(
            f"server does not support any of the requested response types: {accepted[:10]}; "
            "supported: SAMPLES"
        )
    return [_decode_query(query) for query in request.queries]


def encode_response(frames: Iterable[SeriesFrame]) -> bytes:
    """Return the ReadResponse with the samples of each query, in their order."""
    return b"".join(encode_field(1, _encode_frame(frame)) for frame in frames)


def _decode_query(query: Query) -> RangeRead:
    matchers = []
    for matcher in query.matchers:
        if not 0 <= matcher.type < len(_MATCH_TYPES):
            raise InvalidInput(f"matcher type {matcher.type} is none of 0 to 3")
        matchers.append(Matcher(_MATCH_TYPES[matcher.type], matcher.name, matcher.value))
    # Clients send the ends of int64 for "all of time"; arithmetic on those would leave it.
    start_ms = max(query.start_timestamp_ms, -MAX_TIME_MS)
    return RangeRead(tuple(matchers), start_ms, min(query.end_timestamp_ms, MAX_TIME_MS))


def _encode_frame(frame: SeriesFrame) -> bytes:
    records = _encode_samples(frame.times_ms, frame.values)
    size = records.shape[1]
    data = records.reshape(-1).data
    parts = []
    for row, labels in enumerate(frame.labels):
        start, end = int(frame.offsets[row]), int(frame.offsets[row + 1])
        if end > start:
            samples = data[start * size : end * size]
            parts.append(encode_field(1, _encode_labels(labels), samples))
    return b"".join(parts)


def _encode_labels(labels: Labels) -> bytes:
    return b"".join(
        encode_field(1, encode_field(1, to_bytes(name)) + encode_field(2, to_bytes(value)))
        for name, value in labels
    )


def _encode_samples(times_ms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return uint8, shape (samples, bytes): each row a whole Sample field."""
    is_short = not len(times_ms) or 0 <= times_ms.min() <= times_ms.max() < 1 << 42
    time_bytes = _SHORT_TIME_BYTES if is_short else _LONG_TIME_BYTES
    records = np.empty((len(times_ms), 2 + 9 + 1 + time_bytes), np.uint8)
    records[:, 0], records[:, 1] = _SAMPLE, 10 + time_bytes
    records[:, 2] = _VALUE
    # Bits, not values: a stale marker must arrive as one.
    records[:, 3:11] = np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, 8)
    records[:, 11] = _TIMESTAMP
    rest = times_ms.astype(np.int64, copy=False).view(np.uint64)
    for place in range(time_bytes):
        more = 0 if place == time_bytes - 1 else 0x80
        records[:, 12 + place] = (rest & np.uint64(0x7F)).astype(np.uint8) | np.uint8(more)
        rest = rest >> np.uint64(7)
    return records
