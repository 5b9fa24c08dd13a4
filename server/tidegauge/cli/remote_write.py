"""A small remote-write sender: what a Prometheus would send, for the demo fleet.

Source: the Prometheus remote-write 1.0 specification (snappy-compressed `WriteRequest`).
"""

from __future__ import annotations

import http.client
import struct
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import cramjam

from tidegauge.errors import InvalidInput, Unavailable
from tidegauge.model.protobuf import encode_field, encode_varint

Labels = tuple[tuple[str, str], ...]
_TYPES = {"counter": 1, "gauge": 2, "histogram": 3}
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def encode_series(name: str, labels: Labels, samples: Sequence[tuple[int, float]]) -> bytes:
    """Return one time series as a field of a WriteRequest.

    Args:
        samples: (Unix ms, value), in time order.
    """
    pairs = sorted([("__name__", name), *labels])
    body = b"".join(
        encode_field(1, encode_field(1, key.encode()) + encode_field(2, value.encode()))
        for key, value in pairs
    )
    for time_ms, value in samples:
        body += encode_field(
            2, b"\x09" + struct.pack("<d", value) + b"\x10" + encode_varint(time_ms)
        )
    return encode_field(1, body)


def encode_metadata(name: str, kind: str, description: str, unit: str) -> bytes:
    """Return one metric's type, help and unit as a field of a WriteRequest."""
    texts = ((2, name), (4, description), (5, unit))
    body = b"\x08" + encode_varint(_TYPES[kind])
    return encode_field(
        3, body + b"".join(encode_field(number, text.encode()) for number, text in texts)
    )


def send(address: str, fields: Iterable[bytes], *, timeout_s: float = 30) -> None:
    """Send one WriteRequest made of these fields.

    Raises:
        Unavailable: no answer, or one that says to come back.
        InvalidInput: the samples are refused for good.
    """
    place = urlsplit(address)
    body = bytes(cramjam.snappy.compress_raw(b"".join(fields)))
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=timeout_s)
    try:
        connection.request("POST", "/prometheus/api/v1/write", body=body, headers=_HEADERS)
        answer = connection.getresponse()
        said = answer.read(2000).decode("utf-8", errors="replace").strip()
    except (OSError, http.client.HTTPException) as exc:
        raise Unavailable(f"{address} does not take samples: {exc}") from exc
    finally:
        connection.close()
    if answer.status >= 300:
        family = Unavailable if answer.status >= 500 or answer.status == 429 else InvalidInput
        raise family(f"{address} answered {answer.status} to samples: {said}")
