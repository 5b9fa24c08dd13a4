"""Rows as PostgreSQL's binary COPY has them, read back by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from tidegauge.storage.columnar_rows import RECORD, PackedRows

POSTGRES_EPOCH_US = 946_684_800_000_000


def read_rows(copy: bytes) -> Iterator[list[bytes]]:
    assert copy[:11] == b"PGCOPY\n\xff\r\n\0"
    place = 19
    while (fields := struct.unpack_from(">h", copy, place)[0]) >= 0:
        place += 2
        row = []
        for _ in range(fields):
            size = struct.unpack_from(">i", copy, place)[0]
            row.append(copy[place + 4 : place + 4 + size])
            place += 4 + size
        yield row
    assert copy[place:] == b"\xff\xff"


def test_a_row_for_each_metric_keeps_the_order_of_arrival() -> None:
    rows = PackedRows(
        np.array([9, 70_000, 9, 9], np.int32),
        np.array([1, 2, 3, 1], np.int32),
        np.array([50, -7, 40, 60], np.int64),
        np.array([0.5, 1.5, 2.5, 3.5]),
    )

    first, second = read_rows(rows.to_copy(1_700_000_000_123))

    assert struct.unpack(">q", first[0])[0] + POSTGRES_EPOCH_US == 1_700_000_000_123_000
    assert [struct.unpack(">i", field)[0] for field in first[1:3]] == [9, 3]
    assert [struct.unpack(">q", field)[0] for field in first[3:5]] == [40, 60]
    assert np.frombuffer(first[5], RECORD).tolist() == [(1, 50, 0.5), (3, 40, 2.5), (1, 60, 3.5)]
    assert [struct.unpack(">i", field)[0] for field in second[1:3]] == [70_000, 1]
    assert np.frombuffer(second[5], RECORD).tolist() == [(2, -7, 1.5)]


def test_a_long_group_becomes_several_rows() -> None:
    count = 150_000
    metric_ids = np.full(count, 2, np.int32)
    metric_ids[:10] = 1
    rows = PackedRows(
        metric_ids, np.arange(count, dtype=np.int32), np.arange(count), np.zeros(count)
    )

    found = list(read_rows(rows.to_copy(0)))

    counts = [struct.unpack(">i", row[2])[0] for row in found]
    assert counts == [10, 65_536, 65_536, count - 10 - 2 * 65_536]
    joined = np.frombuffer(b"".join(row[5] for row in found), RECORD)
    assert joined["series_id"].tolist() == list(range(count))
    assert struct.unpack(">q", found[1][3])[0] == 10
    assert struct.unpack(">q", found[1][4])[0] == 10 + 65_535
