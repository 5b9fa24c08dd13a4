"""Makes random remote write requests: usual ones, odd ones, and damaged ones."""

from __future__ import annotations

import random
import struct

from tests.support.wire import field, varint

NOW_MS = 1_763_900_000_000
NAMES = [b"__name__", b"job", b"instance", b"le", b"zone", b"", b"caf\xc3\xa9", b"bad\xff"]
VALUES = [b"up", b"a", b"b" * 40, b"", b"\xe6\x97\xa5", b"\xff\xfe", b"x\0y", b"\x12\x10\x09" * 6]
BITS = [
    0,
    1 << 63,
    0x7FF0000000000002,
    0x7FF8000000000001,
    0xFFF8DEADBEEF0001,
    0x7FF0000000000000,
    0x0712000000000000,
    0x1010101010101010,
]
TIMES = [0, 1, -1, NOW_MS, 2**35 - 1, 2**35, 2**42 - 1, 2**42, -(2**63), 2**63 - 1]


class RequestMaker:
    """Makes requests; everything it does follows from the seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._families = [self._label_pairs() for _ in range(12)]

    def request(self, *, odd: float) -> bytes:
        """Return an uncompressed WriteRequest; `odd` is how often a field is an unusual one."""
        fields = []
        for _ in range(self._random.randrange(12)):
            if self._random.random() < odd / 3:
                fields.append(self._other_field())
            else:
                fields.append(self._series(odd))
        return b"".join(fields)

    def damaged(self, body: bytes) -> bytes:
        """Return the body with a byte flipped, cut out, or put in, or its end cut off."""
        if not body:
            return bytes([self._random.randrange(256)])
        at = self._random.randrange(len(body))
        kind = self._random.randrange(4)
        if kind == 0:
            return body[:at] + bytes([body[at] ^ 1 << self._random.randrange(8)]) + body[at + 1 :]
        if kind == 1:
            return body[:at]
        if kind == 2:
            return body[:at] + body[at + 1 :]
        return body[:at] + bytes([self._random.randrange(256)]) + body[at:]

    def _label_pairs(self) -> list[tuple[bytes, bytes]]:
        pairs = [(b"__name__", self._random.choice([b"up", b"down", b"http_requests_total"]))]
        for number in range(self._random.randrange(9)):
            pairs.append((b"label_%d" % number, b"value-%d" % self._random.randrange(3)))
        return pairs

    def _series(self, odd: float) -> bytes:
        pairs = list(self._random.choice(self._families))
        if self._random.random() < odd:
            pairs += [
                (self._random.choice(NAMES), self._random.choice(VALUES))
                for _ in range(self._random.randrange(3))
            ]
            self._random.shuffle(pairs)
        labels = [self._label(name, value, odd) for name, value in pairs]
        many = self._random.random() < 0.2
        samples = [self._sample(odd) for _ in range(self._random.randrange(5) if many else 1)]
        parts = labels + samples
        if self._random.random() < odd:
            parts += [
                self._random.choice(
                    [field(3, b"exemplar"), field(4, b"histogram"), field(9, b"?"), b"\x78\x05"]
                )
            ]
        if self._random.random() < odd / 2:
            self._random.shuffle(parts)
        return self._field(1, b"".join(parts), odd)

    def _label(self, name: bytes, value: bytes, odd: float) -> bytes:
        parts = [field(1, name) if name else b"", field(2, value) if value else b""]
        if self._random.random() < odd / 4:
            parts = [field(1, name), field(2, value)]
        if self._random.random() < odd / 4:
            parts.reverse()
        if self._random.random() < odd / 8:
            parts.append(b"\x18\x01")
        return field(1, b"".join(parts))

    def _sample(self, odd: float) -> bytes:
        if self._random.random() < odd:
            bits, time_ms = self._random.choice(BITS), self._random.choice(TIMES)
        else:
            value = self._random.choice([0.0, 1.0, self._random.random()])
            bits = struct.unpack("<Q", struct.pack("<d", value))[0]
            time_ms = NOW_MS + self._random.randrange(100_000)
        spelled = self._random.random() < odd / 4
        value_part = b"\x09" + struct.pack("<Q", bits) if bits or spelled else b""
        time_part = b"\x10" + varint(time_ms) if time_ms or spelled else b""
        parts = [value_part, time_part]
        if self._random.random() < odd / 4:
            parts.reverse()
        return self._field(2, b"".join(parts), odd)

    def _field(self, number: int, payload: bytes, odd: float) -> bytes:
        if len(payload) < 128 and self._random.random() < odd / 4:
            # A varint may be longer than it needs to be.
            return bytes([number << 3 | 2, len(payload) | 128, 0]) + payload
        return field(number, payload)

    def _other_field(self) -> bytes:
        metadata = b"\x08\x01" + field(2, b"up") + field(4, b"Help \xff.") + field(5, b"s")
        return self._random.choice(
            [field(3, metadata), field(3, b"\x08\x63"), field(7, b"?"), b"\x30\x07", b"\x0a\x00"]
        )
