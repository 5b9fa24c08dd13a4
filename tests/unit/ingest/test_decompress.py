"""Request bodies are unpacked within their limit, and never beyond it."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from pathlib import Path

import cramjam
import pytest
from tidegauge.errors import InvalidInput, PayloadTooLarge
from tidegauge.ingest.decompress import decompress
from tidegauge.ingest.errors import UnsupportedMedia

LIMIT = 10_000
SETTING = "TIDEGAUGE_INGEST_MAX_BODY_BYTES"
PACK = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.compress,
    "zstd": lambda body: bytes(cramjam.zstd.compress(body)),
    "snappy": lambda body: bytes(cramjam.snappy.compress_raw(body)),
}


def varint_of(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize("encoding", PACK)
@pytest.mark.parametrize("body", [b"", b"x", b"samples " * 1000, b"a" * LIMIT])
def test_a_body_comes_out_as_it_went_in(encoding: str, body: bytes) -> None:
    assert decompress(PACK[encoding](body), encoding, max_bytes=LIMIT) == body


@pytest.mark.parametrize("encoding", PACK)
def test_one_byte_over_the_limit_is_too_large_and_names_the_setting(encoding: str) -> None:
    with pytest.raises(PayloadTooLarge, match=SETTING):
        decompress(PACK[encoding](b"a" * (LIMIT + 1)), encoding, max_bytes=LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "snappy"])
@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_truncated_body_is_invalid(encoding: str, cut: int) -> None:
    packed = PACK[encoding](bytes(range(256)) * 8)

    with pytest.raises(InvalidInput) as caught:
        decompress(packed[:-cut], encoding, max_bytes=LIMIT)

    assert not isinstance(caught.value, PayloadTooLarge)


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "snappy"])
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff" * 40])
def test_what_is_not_in_its_encoding_is_invalid(encoding: str, body: bytes) -> None:
    with pytest.raises(InvalidInput):
        decompress(body, encoding, max_bytes=LIMIT)


def test_the_name_of_an_encoding_has_no_case() -> None:
    assert decompress(gzip.compress(b"x"), " GZip ", max_bytes=LIMIT) == b"x"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, snappy"])
def test_an_unknown_encoding_is_refused_with_those_that_are_known(encoding: str) -> None:
    with pytest.raises(UnsupportedMedia, match="identity, gzip, zstd, snappy"):
        decompress(b"x", encoding, max_bytes=LIMIT)


def test_members_of_a_gzip_body_are_joined_and_the_limit_counts_them_together() -> None:
    body = gzip.compress(b"a" * 6000) + gzip.compress(b"b" * 3000)

    assert decompress(body, "gzip", max_bytes=LIMIT) == b"a" * 6000 + b"b" * 3000
    with pytest.raises(PayloadTooLarge):
        decompress(body + gzip.compress(b"c" * 3000), "gzip", max_bytes=LIMIT)


def test_a_gzip_body_of_very_many_members_is_refused() -> None:
    with pytest.raises(InvalidInput, match="members"):
        decompress(gzip.compress(b"") * 1000, "gzip", max_bytes=LIMIT)


def test_frames_of_a_zstd_body_are_joined() -> None:
    body = PACK["zstd"](b"a") + PACK["zstd"](b"b" * 100)

    assert decompress(body, "zstd", max_bytes=LIMIT) == b"a" + b"b" * 100


def test_snappys_framed_format_is_refused_with_a_word_on_the_block_format() -> None:
    with pytest.raises(InvalidInput, match="block format"):
        decompress(bytes(cramjam.snappy.compress(b"x" * 50)), "snappy", max_bytes=LIMIT)


def test_a_snappy_body_that_declares_what_it_cannot_hold_is_invalid() -> None:
    bomb = varint_of(2_500_000_000) + bytes(45)

    with pytest.raises(InvalidInput, match="2500000000"):
        decompress(bomb, "snappy", max_bytes=LIMIT)


def make_bomb(encoding: str) -> bytes:
    """Return a small body that is, or declares, 200 MB; made piece by piece."""
    piece = bytes(1024 * 1024)
    if encoding == "snappy":
        return varint_of(200_000_000) + bytes(10_000_000)
    if encoding == "gzip":
        gzipped = zlib.compressobj(wbits=31)
        return b"".join(gzipped.compress(piece) for _ in range(200)) + gzipped.flush()
    zstd = cramjam.zstd.Compressor()
    for _ in range(200):
        zstd.compress(piece)
    return bytes(zstd.finish())


# A process of its own: what tests before it have used is no measure.
MEASURE = """
import pathlib, sys
from tidegauge.errors import PayloadTooLarge
from tidegauge.ingest.decompress import decompress

def peak_kib():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

body = pathlib.Path(sys.argv[1]).read_bytes()
before = peak_kib()
try:
    decompress(body, sys.argv[2], max_bytes=1024 * 1024)
except PayloadTooLarge:
    print(peak_kib() - before)
"""


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "snappy"])
def test_a_bomb_costs_no_memory(encoding: str, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(make_bomb(encoding))

    command = [sys.executable, "-c", MEASURE, str(bomb), encoding]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout

    assert int(printed) < 10 * 1024
