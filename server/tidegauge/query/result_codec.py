"""Query results as bytes and back, bit-exact; what is not one of them is told apart.

Layout: MAGIC (with the version), CRC-32 of all that follows, length of the head, head, arrays.
The head is MessagePack and says what the arrays are; each begins at a multiple of 8 bytes, and is
read in place. Numbers are little-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from tidegauge.errors import TidegaugeError
from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.value import Annotations, Matrix, Result, Scalar, Text, Value, Vector

VERSION = 1
MAGIC = b"TGR" + bytes([VERSION])

_FRONT = struct.Struct("<4sII")
_ALIGN = 8
_Kind = Literal["vector", "scalar", "text", "matrix"]


class NotAResult(TidegaugeError):
    """The bytes are damaged, another's, or of another version."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A result, and what making it touched.

    Args:
        result: not to be changed: many requests share it.
        series_read: series that the selectors matched.
        until_ms: the latest sample time that could have been part of it.
    """

    result: Result
    series_read: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Kept:
    """An evaluation as it is kept.

    Args:
        evaluation: the result.
        id: tells this evaluation from an earlier and a later one of the same query.
        mark: the Freshness mark from before it.
        text_digest: tells the very text of the query, which annotations point into.
    """

    evaluation: Evaluation
    id: str
    mark: int
    text_digest: bytes


class _Head(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    key: bytes
    id: str
    mark: int
    text_digest: bytes
    kind: _Kind
    labels: list[tuple[tuple[str, str], ...]]
    text: str
    steps: int
    samples: int
    all_present: bool
    warnings: list[str]
    infos: list[str]
    samples_read: int
    series_read: int
    until_ms: int


_encode_head = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(_Head).decode


def encode_kept(kept: Kept, *, key: bytes) -> bytes:
    """Return the bytes of a result.

    Args:
        key: what the bytes will be kept under; under another they are not taken.
    Raises:
        UnicodeEncodeError: a string in it is no UTF-8.
    """
    result, value = kept.evaluation.result, kept.evaluation.result.value
    head = _Head(
        key=key,
        id=kept.id,
        mark=kept.mark,
        text_digest=kept.text_digest,
        kind=_kind_of(value),
        labels=_labels_of(value),
        text=value.value if isinstance(value, Text) else "",
        steps=len(result.steps_ms),
        samples=len(value.frame.times_ms) if isinstance(value, Matrix) else 0,
        all_present=isinstance(value, Vector) and bool(value.present.all()),
        warnings=result.annotations.warnings,
        infos=result.annotations.infos,
        samples_read=result.samples_read,
        series_read=kept.evaluation.series_read,
        until_ms=kept.evaluation.until_ms,
    )
    encoded = _encode_head(head)
    parts = [_padded(encoded, _FRONT.size)]
    parts += [_padded(_to_bytes(array)) for array in _arrays_of(result, all_here=head.all_present)]
    body = b"".join(parts)
    return _FRONT.pack(MAGIC, zlib.crc32(body), len(encoded)) + body


def decode_kept(data: bytes, *, key: bytes) -> Kept:
    """Return a result of `encode_kept`; its arrays cannot be written to.

    Raises:
        NotAResult: the bytes are damaged, another's, of another version, or of another key.
    """
    if len(data) < _FRONT.size:
        raise NotAResult("too short for a result")
    magic, checksum, head_bytes = _FRONT.unpack_from(data)
    if magic != MAGIC:
        raise NotAResult("no result, or of another version")
    view = memoryview(data)
    if zlib.crc32(view[_FRONT.size :]) != checksum:
        raise NotAResult("the checksum does not fit")
    end = _FRONT.size + head_bytes
    try:
        head = _decode_head(view[_FRONT.size : end])
        if head.key != key:
            raise NotAResult("the result of another query")
        arrays = _Arrays(view, end)
        result = _read_result(head, arrays)
        arrays.finish()
    except (msgspec.MsgspecError, ValueError) as exc:
        raise NotAResult(f"not readable: {exc}") from exc
    evaluation = Evaluation(result, head.series_read, head.until_ms)
    return Kept(evaluation, head.id, head.mark, head.text_digest)


def count_bytes(result: Result) -> int:
    """Return about how many bytes a result's arrays would take, without making them."""
    value, steps_bytes = result.value, result.steps_ms.nbytes
    match value:
        case Vector():
            return steps_bytes + value.values.size * 8
        case Matrix(frame=frame):
            return steps_bytes + frame.times_ms.nbytes + frame.values.nbytes
        case _:
            return 2 * steps_bytes


class _Arrays:
    """Reads the arrays one after another, in place."""

    def __init__(self, view: memoryview, place: int) -> None:
        self._view, self._place = view, place

    def take(self, dtype: str, count: int) -> np.ndarray:
        """Return the next array; ValueError where the bytes do not reach."""
        start = -(-self._place // _ALIGN) * _ALIGN
        array = np.frombuffer(self._view, np.dtype(dtype), count, start)
        self._place = start + array.nbytes
        return array

    def finish(self) -> None:
        """Return where everything was read; ValueError where bytes are left."""
        if not 0 <= len(self._view) - self._place < _ALIGN:
            raise ValueError("there is more than the head tells of")


def _kind_of(value: Value) -> _Kind:
    match value:
        case Vector():
            return "vector"
        case Scalar():
            return "scalar"
        case Text():
            return "text"
        case Matrix():
            return "matrix"


def _labels_of(value: Value) -> list[tuple[tuple[str, str], ...]]:
    if isinstance(value, Vector):
        return value.labels
    return value.frame.labels if isinstance(value, Matrix) else []


def _arrays_of(result: Result, *, all_here: bool) -> Sequence[np.ndarray]:
    value, steps_ms = result.value, result.steps_ms.astype("<i8", copy=False)
    match value:
        case Vector():
            flags = [value.drop_name.astype(np.uint8)]
            if not all_here:
                flags.append(np.packbits(value.present))
            return [steps_ms, value.values.astype("<f8", copy=False), *flags]
        case Scalar():
            return [steps_ms, value.values.astype("<f8", copy=False)]
        case Text():
            return [steps_ms]
        case Matrix(frame=frame):
            return [
                steps_ms,
                frame.offsets.astype("<i8", copy=False),
                frame.times_ms.astype("<i8", copy=False),
                frame.values.astype("<f8", copy=False),
            ]


def _read_result(head: _Head, arrays: _Arrays) -> Result:
    steps, series = head.steps, len(head.labels)
    steps_ms = arrays.take("<i8", steps)
    value: Value
    if head.kind == "vector":
        values = arrays.take("<f8", series * steps).reshape(series, steps)
        drop_name = arrays.take("u1", series).astype(bool)
        if head.all_present:
            present = np.broadcast_to(np.True_, values.shape)
        else:
            packed = arrays.take("u1", -(-series * steps // 8))
            present = np.unpackbits(packed, count=series * steps).astype(bool)
            present = present.reshape(series, steps)
        value = Vector(head.labels, values, present, drop_name)
    elif head.kind == "scalar":
        value = Scalar(arrays.take("<f8", steps))
    elif head.kind == "text":
        value = Text(head.text)
    else:
        offsets = arrays.take("<i8", series + 1)
        times_ms, values = arrays.take("<i8", head.samples), arrays.take("<f8", head.samples)
        value = Matrix(SeriesFrame(head.labels, offsets, times_ms, values))
    return Result(value, steps_ms, Annotations(head.warnings, head.infos), head.samples_read)


def _to_bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def _padded(data: bytes, before: int = 0) -> bytes:
    return data + bytes(-(before + len(data)) % _ALIGN)
