"""The columnar engine: samples in packed rows, on any PostgreSQL from 14 on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from io import BytesIO
from uuid import UUID

import numpy as np
from psycopg2 import errors as pg
from psycopg2.extensions import cursor

from tidegauge.errors import DeadlineExceeded, InvalidInput, LimitExceeded, Unavailable
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.matchers import Matcher
from tidegauge.storage.catalogue_selection import Selection, Selector
from tidegauge.storage.columnar_frame import order_samples
from tidegauge.storage.columnar_partitions import ArrivalPartitions
from tidegauge.storage.columnar_rows import COPY_ROWS, RECORD, PackedRows
from tidegauge.storage.pool import Pool
from tidegauge.storage.protocol import ReadBudget, StoredBatch

SAMPLES_SETTING = "TIDEGAUGE_QUERY_MAX_SAMPLES"

# No sample may lie further than this ahead of its arrival (SPEC §2: 5 minutes); append moves
# the arrival of one that does, so that readers can rely on it when they leave out partitions.
AHEAD_MS = 300_000
# The end of the year 9999, the last that the database driver can express.
_LATEST_MS = 253_402_300_799_000
_FURTHEST_MS = 1 << 60

_COPY_BUFFER_BYTES = 1 << 20
_DECODE_BYTES = 4 << 20

# In order of the ids: two writers with the same messages must not wait for each other in turn.
_ENTER_LEDGER = """
INSERT INTO ingest_ledger (message_id)
SELECT DISTINCT id FROM unnest(%s::uuid[]) AS id ORDER BY id
ON CONFLICT DO NOTHING
RETURNING message_id::text
"""
_READ_ARRIVALS = """
COPY (
    SELECT payload FROM arrivals
    WHERE metric_id = ANY(%(metrics)s::integer[])
        AND max_time_ms >= %(start)s AND min_time_ms <= %(end)s
        AND arrived_at >= to_timestamp(%(oldest)s / 1000.0)
    ORDER BY id
) TO STDOUT (FORMAT BINARY)
"""
# What stands before the payload in a COPY row of one field, and before the first row.
_FIELD_HEAD_BYTES = 6
_COPY_HEAD_BYTES = 19


class _PartitionGone(Unavailable):
    """A partition that was there has been dropped."""


class ColumnarEngine:
    """The SampleEngine protocol over `arrivals`; safe to use from many threads and processes.

    Args:
        pool: connections.
        selector: resolves matchers to series.
        partition_s: the span of arrival time of one partition.
        clock_ms: the time of arrival, Unix ms.
        monotonic: the clock of deadlines, in seconds.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        selector: Selector,
        partition_s: int,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool, self._selector = pool, selector
        self._clock_ms, self._monotonic = clock_ms, monotonic
        self._partitions = ArrivalPartitions(pool=pool, width_s=partition_s)

    def append(self, batch: StoredBatch) -> Sequence[bytes]:
        """Store the samples of the messages not stored before, in one transaction.

        Returns:
            The ids of the messages that were new; the others' samples were left out.
        Raises:
            Unavailable: the database is away; nothing was stored, or nobody can say: send again.
            InvalidInput: the data is impossible; sending it again is no use.
        """
        _check(batch)
        try:
            return self._store(batch)
        except _PartitionGone:
            self._partitions.forget()
            return self._store(batch)

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, budget: ReadBudget
    ) -> SeriesFrame:
        """Return the samples with start_ms <= time <= end_ms of all series that match.

        Raises:
            LimitExceeded, DeadlineExceeded, Unavailable.
        """
        # Callers may mean "from the beginning" by any small number; int64 must hold it.
        start_ms, end_ms = max(start_ms, -_FURTHEST_MS), min(end_ms, _FURTHEST_MS)
        with self._pool.transaction(
            deadline_s=budget.deadline_s, cancellation=budget.cancellation
        ) as lent:
            selection = self._selector.resolve(lent, matchers, budget)
            if not selection.labels or start_ms > end_ms:
                return SeriesFrame.empty()
            sink = _SampleSink(selection, start_ms, end_ms, budget, self._monotonic)
            _copy_out(lent, selection, start_ms, end_ms, sink)
        return sink.to_frame()

    def _store(self, batch: StoredBatch) -> list[bytes]:
        arrived_ms = self._clock_ms()
        if len(batch.times_ms):
            arrived_ms = max(arrived_ms, int(batch.times_ms.max()) - AHEAD_MS)
        self._partitions.ensure(arrived_ms)
        with self._pool.transaction() as lent:
            places = _enter_ledger(lent, batch.message_ids)
            rows = _pack(batch, places)
            if rows is not None:
                _copy_in(lent, rows.to_copy(arrived_ms))
        return [batch.message_ids[place] for place in places]


def _check(batch: StoredBatch) -> None:
    columns = (batch.message_index, batch.series_ids, batch.metric_ids, batch.times_ms)
    count = len(batch.values)
    if any(len(column) != count for column in columns):
        raise InvalidInput(f"a batch has columns of different lengths, one of {count}")
    if any(len(message_id) != 16 for message_id in batch.message_ids):
        raise InvalidInput("a batch has a message id that is not 16 bytes long")
    if not count:
        return
    if int(batch.series_ids.min()) <= 0 or int(batch.metric_ids.min()) <= 0:
        raise InvalidInput("a batch holds series that are not registered: ids must be above 0")
    if int(batch.times_ms.max()) > _LATEST_MS:
        raise InvalidInput(f"a batch holds a time behind the year 9999: {batch.times_ms.max()} ms")
    low, high = int(batch.message_index.min()), int(batch.message_index.max())
    if low < 0 or high >= len(batch.message_ids):
        raise InvalidInput("a batch holds samples of messages that it does not name")


def _pack(batch: StoredBatch, new_places: Sequence[int]) -> PackedRows | None:
    """Return the samples of these messages as rows, or None if there are none."""
    columns = [batch.metric_ids, batch.series_ids, batch.times_ms, batch.values]
    if len(new_places) < len(batch.message_ids):
        new = np.zeros(len(batch.message_ids), bool)
        new[new_places] = True
        columns = [column[new[batch.message_index]] for column in columns]
    return PackedRows(*columns) if len(columns[0]) else None


def _enter_ledger(lent: cursor, message_ids: Sequence[bytes]) -> list[int]:
    """Enter messages in the ledger; return the places of those that were not in it."""
    first_places: dict[str, int] = {}
    for place, message_id in enumerate(message_ids):
        first_places.setdefault(str(UUID(bytes=message_id)), place)
    lent.execute(_ENTER_LEDGER, ("{" + ",".join(first_places) + "}",))
    return sorted(first_places[row[0]] for row in lent.fetchall())


def _copy_in(lent: cursor, rows: bytes) -> None:
    try:
        lent.copy_expert(COPY_ROWS, BytesIO(rows), size=min(len(rows), _COPY_BUFFER_BYTES))
    except pg.CheckViolation as fault:
        raise _PartitionGone(f"there is no partition for new samples: {fault}") from fault


def _copy_out(
    lent: cursor, selection: Selection, start_ms: int, end_ms: int, sink: _SampleSink
) -> None:
    asked = {
        "metrics": selection.metric_ids,
        "start": start_ms,
        "end": end_ms,
        "oldest": min(max(start_ms - AHEAD_MS, 0), _LATEST_MS),
    }
    try:
        lent.copy_expert(lent.mogrify(_READ_ARRIVALS, asked), sink)
        sink.decode()
    except (LimitExceeded, DeadlineExceeded):
        # The rest of the answer is still on its way; hanging up is the quickest end of it.
        lent.connection.close()
        raise


class _SampleSink:
    """Takes the payloads as they come, and keeps the samples that are wanted."""

    def __init__(
        self,
        selection: Selection,
        start_ms: int,
        end_ms: int,
        budget: ReadBudget,
        monotonic: Callable[[], float],
    ) -> None:
        self._selection, self._budget, self._monotonic = selection, budget, monotonic
        self._start_ms, self._end_ms = start_ms, end_ms
        self._parts: list[memoryview] = []
        self._waiting_bytes = -_COPY_HEAD_BYTES
        self._skip = _COPY_HEAD_BYTES + _FIELD_HEAD_BYTES
        self._columns: tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]] = ([], [], [])
        self._count = 0

    def write(self, row: bytes) -> None:
        """Take one row; the first has the head of the COPY before it."""
        self._parts.append(memoryview(row)[self._skip :])
        self._skip = _FIELD_HEAD_BYTES
        self._waiting_bytes += len(row)
        if self._waiting_bytes >= _DECODE_BYTES:
            self.decode()

    def decode(self) -> None:
        """Turn the payloads that wait into samples.

        Raises:
            LimitExceeded, DeadlineExceeded.
        """
        if self._monotonic() >= self._budget.deadline_s:
            raise DeadlineExceeded("the time was over while samples were read")
        records = np.frombuffer(b"".join(self._parts), RECORD)
        self._parts, self._waiting_bytes = [], 0
        index = self._selection.positions(np.ascontiguousarray(records["series_id"]))
        times_ms = np.ascontiguousarray(records["time_ms"])
        values = np.ascontiguousarray(records["value"])
        wanted = index < len(self._selection.labels)
        wanted &= (times_ms >= self._start_ms) & (times_ms <= self._end_ms)
        count = int(np.count_nonzero(wanted))
        self._count += count
        if self._count > self._budget.max_samples:
            raise LimitExceeded(
                "samples",
                reached=self._count,
                allowed=self._budget.max_samples,
                setting=SAMPLES_SETTING,
            )
        for column, found in zip(self._columns, (index, times_ms, values), strict=True):
            column.append(found if count == len(wanted) else found[wanted])

    def to_frame(self) -> SeriesFrame:
        """Return what was kept, without the series that had no sample."""
        if not self._count:
            return SeriesFrame.empty()
        index, times_ms, values = (_join(column) for column in self._columns)
        labels = self._selection.labels
        counts, times_ms, values = order_samples(index, times_ms, values, len(labels))
        if not counts.all():
            labels = [labels[place] for place in np.flatnonzero(counts).tolist()]
            counts = counts[counts > 0]
        offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
        return SeriesFrame(list(labels), offsets, times_ms, values)


def _join(parts: list[np.ndarray]) -> np.ndarray:
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
    # The parts are not needed any more: at most two copies of one column at a time.
    parts.clear()
    return joined
