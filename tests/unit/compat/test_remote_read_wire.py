"""Remote read's messages, read back by protobuf's own parser."""

from __future__ import annotations

import numpy as np
import pytest
from tidegauge.compat.remote_read.remote_read_pb2 import LabelMatcher, Query, ReadRequest
from tidegauge.compat.remote_read.wire import decode_request, encode_response
from tidegauge.errors import InvalidInput
from tidegauge.ingest.remote_write.remote_write_pb2 import WriteRequest
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.model.stale import STALE_BITS, STALE_NAN

from tests.support import wire

NOW_MS = 1_700_000_000_123


def frame_of(*series) -> SeriesFrame:
    """Return a frame of (labels, [(time_ms, value), …])."""
    points = [point for _, samples in series for point in samples]
    sizes = [len(samples) for _, samples in series]
    return SeriesFrame(
        [make_labels(labels) for labels, _ in series],
        np.cumsum([0, *sizes]).astype(np.int64),
        np.array([time_ms for time_ms, _ in points], np.int64),
        np.array([value for _, value in points], np.float64),
    )


def read_back(body: bytes):
    """Return the series of each query: a QueryResult has the fields of a WriteRequest."""
    found = []
    while body:
        size, start = 0, 1
        assert body[0] == 0x0A
        while True:
            size |= (body[start] & 0x7F) << 7 * (start - 1)
            start += 1
            if body[start - 1] < 0x80:
                break
        found.append(WriteRequest.FromString(body[start : start + size]).timeseries)
        body = body[start + size :]
    return found


def test_samples_come_back_bit_by_bit() -> None:
    frame = frame_of(
        ({"__name__": "a", "b": "ü"}, [(0, 0.0), (NOW_MS, -1.5), (2**42 - 1, float("inf"))]),
        ({"__name__": "b"}, [(NOW_MS, float(STALE_NAN[0]))]),
    )

    ((first, second),) = read_back(encode_response([frame]))

    assert [(label.name, label.value) for label in first.labels] == [
        (b"__name__", b"a"),
        (b"b", "ü".encode()),
    ]
    assert [(sample.timestamp, sample.value) for sample in first.samples] == [
        (0, 0.0),
        (NOW_MS, -1.5),
        (2**42 - 1, float("inf")),
    ]
    bits = np.array([second.samples[0].value]).view(np.uint64)[0]
    assert bits == STALE_BITS


@pytest.mark.parametrize("time_ms", [-1, -(2**61), 2**42, 2**61])
def test_times_beyond_the_everyday_ones_come_back(time_ms: int) -> None:
    ((series,),) = read_back(encode_response([frame_of(({"a": "b"}, [(time_ms, 1.0)]))]))

    assert series.samples[0].timestamp == time_ms


def test_each_query_has_its_result_and_series_without_samples_are_left_out() -> None:
    some = frame_of(({"a": "1"}, []), ({"a": "2"}, [(NOW_MS, 1.0)]))

    results = read_back(encode_response([SeriesFrame.empty(), some]))

    assert [[series.labels[0].value for series in result] for result in results] == [[], [b"2"]]


def test_a_request_names_ranges_and_matchers() -> None:
    matchers = [LabelMatcher(type=kind, name="n", value="v") for kind in range(4)]
    query = Query(start_timestamp_ms=-(2**63), end_timestamp_ms=NOW_MS, matchers=matchers)
    request = ReadRequest(queries=[query], accepted_response_types=[1, 0])

    (read,) = decode_request(request.SerializeToString())

    assert (read.start_ms, read.end_ms) == (-(2**61), NOW_MS)
    assert read.matchers == tuple(Matcher(kind, "n", "v") for kind in MatchType)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (ReadRequest(accepted_response_types=[1]), "supported: SAMPLES"),
        (ReadRequest(queries=[Query(matchers=[LabelMatcher(type=4)])]), "none of 0 to 3"),
        (
            ReadRequest(queries=[Query(matchers=[LabelMatcher(type=2, value="(")])]),
            "invalid regular expression",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(body, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_request(body.SerializeToString())

    assert message in caught.value.message


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no ReadRequest"):
        decode_request(wire.field(1, b"\xff"))
