"""The complete road: any valid request, through generated protobuf classes.

Source: the Prometheus remote write specification 1.0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from google.protobuf.message import DecodeError

from tidegauge.errors import InvalidInput, PayloadTooLarge
from tidegauge.ingest.remote_write.columns import (
    MAX_SERIES,
    RawLabels,
    WireColumns,
    too_many_series,
)
from tidegauge.ingest.remote_write.remote_write_pb2 import (
    MetricMetadata as WireMetadata,
)
from tidegauge.ingest.remote_write.remote_write_pb2 import TimeSeries, WriteRequest
from tidegauge.model.batch import MetricMetadata

# One more than TIDEGAUGE_LABELS_PER_SERIES can be: enough to see that there are too many.
LABELS_OPENED = 1025
# The parser holds some 70 bytes for each message inside a request, and a message may be two bytes
# long. Their tags are counted before it starts; bytes of values that look alike count with them.
_MESSAGE_TAGS = (b"\x0a", b"\x12", b"\x1a", b"\x22")
_MAX_MESSAGES = 2_000_000

# MetricMetadata.MetricType of the specification, by number, as Prometheus spells them.
_TYPES = (
    "unknown",
    "counter",
    "gauge",
    "histogram",
    "gaugehistogram",
    "summary",
    "info",
    "stateset",
)


def decode_complete(body: bytes, find: Callable[[bytes], int]) -> WireColumns:
    """Return the columns of a request.

    Args:
        body: a WriteRequest, uncompressed.
        find: returns what the registry knows a label set as, by its wire form, or 0.
    Raises:
        InvalidInput: it is not protobuf, or not of these types.
    """
    if sum(map(body.count, _MESSAGE_TAGS)) > _MAX_MESSAGES:
        raise PayloadTooLarge(
            f"the request may hold more than {_MAX_MESSAGES} fields; send smaller requests"
        )
    try:
        request = WriteRequest.FromString(body)
    except DecodeError as exc:
        raise InvalidInput(f"the body is not a remote write request: {exc}") from exc
    series = request.timeseries
    if len(series) > MAX_SERIES:
        raise too_many_series()
    counts = np.fromiter((len(one.samples) for one in series), np.int64, len(series))
    total = int(counts.sum())
    columns = WireColumns(
        ids=np.zeros(len(series), np.int64),
        positions=np.repeat(np.arange(len(series), dtype=np.int64), counts),
        # Sample by sample, twice: a list of them all would cost ten times their bytes.
        times_ms=np.fromiter(
            (sample.timestamp for one in series for sample in one.samples), np.int64, total
        ),
        values=np.fromiter(
            (sample.value for one in series for sample in one.samples), np.float64, total
        ),
        metadata=tuple(map(_to_metadata, request.metadata)),
        exemplars=sum(len(one.exemplars) for one in series),
        histograms=sum(len(one.histograms) for one in series),
    )
    for position, one in enumerate(series):
        # Written again in the usual form, so that both roads know a series under the same bytes.
        key = TimeSeries(labels=one.labels[:LABELS_OPENED]).SerializeToString()
        columns.ids[position] = known = find(key)
        if not known:
            columns.keys[position] = key
            columns.labels[position] = raw_labels(one)
    return columns


def parse_label_fields(key: bytes) -> RawLabels:
    """Return the labels in the leading fields of a TimeSeries message.

    Raises:
        InvalidInput: the bytes are not protobuf.
    """
    try:
        return raw_labels(TimeSeries.FromString(key))
    except DecodeError as exc:
        raise InvalidInput(f"the body is not a remote write request: {exc}") from exc


def raw_labels(series: TimeSeries) -> RawLabels:
    """Return the labels of a message as they came, of too many only the first."""
    return tuple((label.name, label.value) for label in series.labels[:LABELS_OPENED])


def _to_metadata(said: WireMetadata) -> MetricMetadata:
    type_name = _TYPES[said.type] if 0 <= said.type < len(_TYPES) else "unknown"
    return MetricMetadata(
        name=_to_text(said.metric_family_name),
        type=type_name,
        unit=_to_text(said.unit),
        help=_to_text(said.help),
    )


def _to_text(raw: bytes) -> str:
    # What describes a metric is for people: a bad byte in it must not cost the description.
    return raw.decode("utf-8", "replace").replace("\0", "\ufffd")
