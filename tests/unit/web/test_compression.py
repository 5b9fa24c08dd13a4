"""Answers compressed in two parts are what one part would have been."""

from __future__ import annotations

import gzip
import zlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidegauge.web.compression import begin_gzip, finish_gzip


@given(st.binary(max_size=5000), st.binary(max_size=500), st.binary(max_size=500))
def test_one_beginning_takes_any_end(body: bytes, end: bytes, another: bytes) -> None:
    begun = begin_gzip(body)

    assert gzip.decompress(finish_gzip(begun, end)) == body + end
    assert gzip.decompress(finish_gzip(begun, another)) == body + another


def test_it_is_one_gzip_member_for_readers_that_take_no_more() -> None:
    body = b'{"data":[' + b",".join(b"[%d,1.5]" % number for number in range(50_000))
    whole = finish_gzip(begin_gzip(body), b'],"meta":{}}')

    reader = zlib.decompressobj(wbits=31)
    text = reader.decompress(whole)

    assert (text, reader.eof, reader.unused_data) == (body + b'],"meta":{}}', True, b"")
    assert bytes(cramjam.gzip.decompress(whole)) == text
    assert len(whole) < len(text) / 3


def test_a_damaged_one_is_noticed() -> None:
    begun = bytearray(begin_gzip(b"beginning"))
    begun[0] ^= 1

    with pytest.raises(gzip.BadGzipFile, match="CRC"):
        gzip.decompress(finish_gzip(bytes(begun), b"end"))
