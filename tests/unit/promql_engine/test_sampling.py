from __future__ import annotations

import pytest
from tidegauge.promql.engine.sampling import sampling_offset, xxhash64


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_hash_is_xxhash64(data, digest):
    assert xxhash64(data) == digest


def test_offset_lies_between_zero_and_one_and_long_labels_count_too():
    short, long = (("a", "b"),), (("a", "b" * 300),)

    assert 0 <= sampling_offset(short) < 1
    assert 0 <= sampling_offset(long) < 1
    assert sampling_offset(short) != sampling_offset(long)
