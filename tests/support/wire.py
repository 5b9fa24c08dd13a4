"""Builds remote write requests byte by byte, apart from the decoder that they test."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import cramjam


def varint(value: int) -> bytes:
    """Return a protobuf varint; negative numbers as 64-bit two's complement."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def label_set(labels: Mapping[str, str]) -> bytes:
    """Return the label fields of a TimeSeries, sorted by name."""
    return b"".join(
        field(1, field(1, name.encode()) + field(2, value.encode()))
        for name, value in sorted(labels.items())
    )


def sample(value: float, time_ms: int) -> bytes:
    """Return a sample field as Prometheus writes it: a zero value is left out."""
    body = b"" if struct.pack("<d", value) == bytes(8) else b"\x09" + struct.pack("<d", value)
    return field(2, body + (b"\x10" + varint(time_ms) if time_ms else b""))


def write_request(
    series: Iterable[tuple[Mapping[str, str], Iterable[tuple[int, float]]]],
) -> bytes:
    """Return an uncompressed WriteRequest of (labels, [(time_ms, value), …])."""
    return b"".join(
        field(1, label_set(labels) + b"".join(sample(value, at) for at, value in points))
        for labels, points in series
    )


def metadata(name: str, *, kind: int, help: str, unit: str = "") -> bytes:
    """Return an uncompressed WriteRequest of one metric's metadata; empty texts are left out."""
    texts = ((2, name), (4, help), (5, unit))
    body = b"".join(field(number, text.encode()) for number, text in texts if text)
    return field(3, varint(1 << 3) + varint(kind) + body)


def compress(body: bytes) -> bytes:
    """Return the body in snappy's block format."""
    return bytes(cramjam.snappy.compress_raw(body))


HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
