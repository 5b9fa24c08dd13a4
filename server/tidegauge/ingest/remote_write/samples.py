"""Takes samples out of a request's bytes, all at once.

Prometheus writes a sample in 18 bytes (`12 10`, `09` and the double, `10` and six bytes of time),
or in 9 when the value is zero, which protobuf leaves out. Six bytes hold the times from 1971 to
2109. Both forms end alike, so a sample is found by its end.
Source: protobuf encoding; the Prometheus remote write specification 1.0.
"""

from __future__ import annotations

import numpy as np

FULL_BYTES, ZERO_BYTES = 18, 9
TAG, FULL_LENGTH, ZERO_LENGTH = 0x12, 0x10, 0x07

# Of the eight bytes (a little-endian word) that a sample starts with: what is fixed there.
_HEAD_MASK, _FULL_HEAD, _ZERO_HEAD = 0xFFFFFF, 0x091012, 0x100712
# Of the eight bytes that it ends with: one that may be anything, the tag of the time, and six of
# varint, of which all but the last say that more follows.
_TAIL_MASK, _TAIL = 0x808080808080FF00, 0x0080808080801000


def words_of(body: bytes) -> np.ndarray:
    """Return uint64, shape (len(body) - 7,): the eight bytes that start at each position."""
    return np.ndarray((max(0, len(body) - 7),), "<u8", buffer=body, strides=(1,))


def are_samples(words: np.ndarray, ends: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Return bool, shape (n,): where the bytes before an end are a sample of the form expected.

    Args:
        words: of `words_of`.
        ends: int64, shape (n,), each at least as far into the body as its sample is long.
        zero: bool, shape (n,): whether the value is left out.
    """
    heads = words[ends - np.where(zero, ZERO_BYTES, FULL_BYTES)] & _HEAD_MASK
    tails = words[ends - 8]
    fits: np.ndarray = (heads == np.where(zero, _ZERO_HEAD, _FULL_HEAD)) & (
        tails & _TAIL_MASK == _TAIL
    )
    return fits


def take_times_ms(words: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return int64, shape (n,), Unix ms: the times of the samples that end there."""
    bits = words[ends - 8] >> 16
    # Seven bits a byte are brought together in two steps: first by pairs of bytes, then the pairs.
    pairs = bits & 0x007F007F007F | (bits & 0x7F007F007F00) >> 1
    times = pairs & 0x3FFF | pairs >> 2 & 0xFFFC000 | pairs >> 4 & 0x3FFF0000000
    result: np.ndarray = times.astype(np.int64)
    return result


def take_values(words: np.ndarray, ends: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """Return float64, shape (n,), bit-exact: the values of the samples that end there."""
    bits = words[np.maximum(ends - 15, 0)]
    bits[zero] = 0
    values: np.ndarray = bits.view(np.float64)
    return values
