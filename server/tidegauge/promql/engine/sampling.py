"""limit_ratio's choice: a number from 0 to 1 for each label set, the same that Prometheus draws.

Source: Prometheus `HashRatioSampler` and `labels.Labels.Hash` (strings after their lengths);
the xxHash64 specification.
"""

from __future__ import annotations

from tidegauge.model.labels import Labels
from tidegauge.promql.quoting import to_bytes

_WORD = 2**64 - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
_LONG_STRING = 255


def sampling_offset(labels: Labels) -> float:
    """Return where from 0 to 1 a label set lies; it depends on nothing else."""
    text = b"".join(_with_length(to_bytes(part)) for pair in labels for part in pair)
    return float(xxhash64(text)) / 2.0**64


def _with_length(part: bytes) -> bytes:
    size = len(part)
    return (bytes([size]) if size < _LONG_STRING else b"\xff" + size.to_bytes(3, "little")) + part


def xxhash64(data: bytes) -> int:
    """Return the xxHash64 of some bytes, seed 0."""
    position, size = 0, len(data)
    if size >= 32:
        lanes = [(_P1 + _P2) & _WORD, _P2, 0, -_P1 & _WORD]
        while position <= size - 32:
            for lane in range(4):
                lanes[lane] = _round(lanes[lane], _number(data, position, 8))
                position += 8
        turns = zip(lanes, (1, 7, 12, 18), strict=True)
        value = sum(_rotate(lane, bits) for lane, bits in turns) & _WORD
        for lane in lanes:
            value = ((value ^ _round(0, lane)) * _P1 + _P4) & _WORD
    else:
        value = _P5
    value = (value + size) & _WORD
    while position <= size - 8:
        value ^= _round(0, _number(data, position, 8))
        value = (_rotate(value, 27) * _P1 + _P4) & _WORD
        position += 8
    if position <= size - 4:
        value ^= _number(data, position, 4) * _P1 & _WORD
        value = (_rotate(value, 23) * _P2 + _P3) & _WORD
        position += 4
    for byte in data[position:]:
        value = _rotate(value ^ byte * _P5 & _WORD, 11) * _P1 & _WORD
    value = (value ^ value >> 33) * _P2 & _WORD
    value = (value ^ value >> 29) * _P3 & _WORD
    return value ^ value >> 32


def _number(data: bytes, position: int, size: int) -> int:
    return int.from_bytes(data[position : position + size], "little")


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _WORD


def _round(lane: int, number: int) -> int:
    return _rotate((lane + number * _P2) & _WORD, 31) * _P1 & _WORD
