"""The batch writer: takes messages, writes them in one transaction, and only then acknowledges.

Everything between taking and acknowledging may be done twice without harm: registering series
and keeping metadata change nothing the second time, and the ledger leaves out a message that is
stored already. So a failure anywhere means: do all of it again.

Three ways to fail: the database is away (a durable queue keeps the messages until it is back,
one in memory lets them go, and their senders send again); it refuses the data (the message at
fault is found by halving, and becomes a dead letter alone); it fails for a reason that nobody
foresaw (after the retries that is taken for a refusal).
Source: SPEC §2 "Flow", §13; DESIGN §3.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import structlog
from structlog.typing import FilteringBoundLogger

from tidegauge.broker.protocol import Consumer, Delivery
from tidegauge.errors import InvalidInput, TidegaugeError, Unavailable
from tidegauge.ingest.batch_log import find_traces, name_messages
from tidegauge.ingest.codec import decode_batch
from tidegauge.ingest.meter import IngestMeter, SilentMeter
from tidegauge.model.batch import SampleBatch
from tidegauge.model.labels import Labels
from tidegauge.observability.tracing import span
from tidegauge.storage.faults import DatabaseFault
from tidegauge.storage.protocol import Catalogue, SampleEngine, SeriesKey, StoredBatch

RETRY_WAITS_S = (1.0, 2.0, 4.0)
# While the database stays away a durable queue keeps all there is; so often it is tried again.
HOLD_WAIT_S = 4.0
_NO_WAITS: tuple[float, ...] = ()
TAKE_TIMEOUT_S = 0.5

_Decoded = tuple[Delivery, SampleBatch]


class BatchWriter:
    """Moves messages from a queue into storage; one thread runs it.

    Args:
        consumer: where messages come from.
        catalogue: where series and metadata are registered.
        engine: where samples go.
        flush_points: samples that start a write at once.
        linger_s: how long to gather until then.
        meter: is told what happened.
        clock_ms: Unix ms: when series were seen.
        monotonic: seconds; measures a write.
        log: is told of retries and of what is given up.
    """

    def __init__(
        self,
        *,
        consumer: Consumer,
        catalogue: Catalogue,
        engine: SampleEngine,
        flush_points: int = 1000,
        linger_s: float = 0.0,
        meter: IngestMeter | None = None,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._consumer, self._catalogue, self._engine = consumer, catalogue, engine
        self._flush_points, self._linger_s = flush_points, linger_s
        self._meter = meter or SilentMeter()
        self._clock_ms, self._monotonic = clock_ms, monotonic
        self._log = log or structlog.get_logger()
        self._suspicious = False

    def run(self, stop: threading.Event) -> None:
        """Write until told to stop; what has been taken by then is still settled."""
        while not stop.is_set():
            self.write_once(TAKE_TIMEOUT_S, wait=stop.wait)
        if self._consumer.durable:
            return  # What was not taken is safe where it is.
        # Whoever published before the stop is still waiting for an answer.
        while self.write_once(0.0, wait=stop.wait):
            pass

    def write_once(self, timeout_s: float, *, wait: Callable[[float], bool] | None = None) -> int:
        """Take what has arrived, store it, and settle it.

        Args:
            timeout_s: how long to wait for a first message.
            wait: waits so many seconds before a retry, and returns True to give up at once.
        Returns:
            How many messages were taken.
        """
        deliveries = self._consumer.take(
            max_samples=self._flush_points, linger_s=self._linger_s, timeout_s=timeout_s
        )
        if not deliveries:
            return 0
        self._log.debug("batch taken", **name_messages(deliveries))
        with span("queue.consume", links=find_traces(deliveries), messages=len(deliveries)):
            self._settle(deliveries, wait or _sleep)
        return len(deliveries)

    def _settle(self, deliveries: Sequence[Delivery], wait: Callable[[float], bool]) -> None:
        group: Sequence[_Decoded] = ()
        try:
            decoded = [one for delivery in deliveries for one in self._decode(delivery)]
            for group in self._split(decoded):
                self._store_with_retries(group, wait)
        except BaseException as exc:
            # A fault that nobody foresaw: nothing is acknowledged, and nothing is lost.
            self._suspect(group, exc)
            self._consumer.give_up(deliveries, "the writer failed; the log says why")
            raise
        self._suspicious = False

    def _split(self, decoded: Sequence[_Decoded]) -> list[Sequence[_Decoded]]:
        if self._suspicious:
            return [[one] for one in decoded]
        return [decoded] if decoded else []

    def _suspect(self, group: Sequence[_Decoded], fault: BaseException) -> None:
        """Make sure that a message on which the writer fails does not fail it for ever.

        A durable queue delivers it again: then each message is stored alone, and the one that
        fails the writer again is put aside.
        """
        if self._consumer.durable and self._suspicious and len(group) == 1:
            self._dead_letter(group[0][0], f"the writer fails on it: {fault!r}")
        self._suspicious = True

    def _decode(self, delivery: Delivery) -> list[_Decoded]:
        message = delivery.message
        try:
            return [(delivery, decode_batch(message.body, message.codec))]
        except InvalidInput as exc:
            self._dead_letter(delivery, exc.message)
            return []

    def _store_with_retries(
        self,
        decoded: Sequence[_Decoded],
        wait: Callable[[float], bool],
        waits_s: Sequence[float] = RETRY_WAITS_S,
    ) -> None:
        deliveries = [delivery for delivery, _ in decoded]
        left_s = iter(waits_s)
        while True:
            try:
                series_ids = self._store(decoded)
            except InvalidInput as exc:
                self._isolate(decoded, exc, wait)
                return
            except Unavailable as exc:
                wait_s = self._next_wait_s(left_s, exc)
                if wait_s is None and isinstance(exc, DatabaseFault) and self._consumer.durable:
                    self._isolate(decoded, exc, wait)
                    return
                if wait_s is None or wait(wait_s):
                    self._give_up(deliveries, exc)
                    return
                self._log.warning(
                    "storage is away, the batch waits",
                    retry_in_s=wait_s,
                    error=str(exc),
                    **name_messages(deliveries),
                )
                self._meter.write_retried()
            else:
                self._consumer.acknowledge(deliveries)
                self._note_seen(series_ids)
                return

    def _next_wait_s(self, left_s: Iterator[float], error: Unavailable) -> float | None:
        """Return the wait before the next try, or None when there is none."""
        hold = self._consumer.durable and not isinstance(error, DatabaseFault)
        return next(left_s, HOLD_WAIT_S if hold else None)

    def _isolate(
        self, decoded: Sequence[_Decoded], error: TidegaugeError, wait: Callable[[float], bool]
    ) -> None:
        """Halve until the message that storage refuses is alone; store its neighbours."""
        if len(decoded) == 1:
            self._dead_letter(decoded[0][0], error.message)
            return
        # A fault that outlived its retries is not waited for again in every half.
        waits_s = RETRY_WAITS_S if isinstance(error, InvalidInput) else _NO_WAITS
        middle = len(decoded) // 2
        self._store_with_retries(decoded[:middle], wait, waits_s)
        self._store_with_retries(decoded[middle:], wait, waits_s)

    def _store(self, decoded: Sequence[_Decoded]) -> np.ndarray:
        deliveries = [delivery for delivery, _ in decoded]
        samples = sum(delivery.message.count for delivery in deliveries)
        with span("ingest.write", links=find_traces(deliveries), samples=samples):
            return self._store_all(decoded)

    def _store_all(self, decoded: Sequence[_Decoded]) -> np.ndarray:
        """Store all of it; return the series of the samples."""
        started_s = self._monotonic()
        batches = [batch for _, batch in decoded]
        new_series = dict.fromkeys(labels for batch in batches for labels in batch.new_series)
        registered = self._catalogue.register_series(list(new_series)) if new_series else {}
        metadata = dict.fromkeys(said for batch in batches for said in batch.metadata)
        if metadata:
            self._catalogue.store_metadata(list(metadata))
        stored = _combine(decoded, registered)
        if len(stored.times_ms):
            self._engine.append(stored)
        self._meter.batch_written(len(batches), len(stored.times_ms), self._monotonic() - started_s)
        return stored.series_ids

    def _note_seen(self, series_ids: np.ndarray) -> None:
        # The samples are committed and confirmed. That their series were seen is coarse, and
        # what fails here is due again with the next samples.
        try:
            self._catalogue.touch_series(series_ids, self._clock_ms())
        except TidegaugeError as exc:
            self._log.warning("series are not noted as seen", error=str(exc))

    def _give_up(self, deliveries: Sequence[Delivery], error: Unavailable) -> None:
        self._log.error(
            "batch not written, storage is away", error=str(error), **name_messages(deliveries)
        )
        self._meter.messages_given_up(len(deliveries))
        self._consumer.give_up(deliveries, error.message)

    def _dead_letter(self, delivery: Delivery, reason: str) -> None:
        self._meter.message_dead_lettered()
        self._consumer.dead_letter(delivery, reason)


def _combine(decoded: Sequence[_Decoded], registered: dict[Labels, SeriesKey]) -> StoredBatch:
    batches = [batch for _, batch in decoded]
    counts = [batch.count for batch in batches]
    resolved = [_resolve_new(batch, registered) for batch in batches]
    return StoredBatch(
        message_ids=[delivery.message.id for delivery, _ in decoded],
        message_index=np.repeat(np.arange(len(batches), dtype=np.int32), counts),
        series_ids=np.concatenate([series_ids for series_ids, _ in resolved]),
        metric_ids=np.concatenate([metric_ids for _, metric_ids in resolved]),
        times_ms=np.concatenate([batch.times_ms for batch in batches]),
        values=np.concatenate([batch.values for batch in batches]),
    )


def _resolve_new(
    batch: SampleBatch, registered: dict[Labels, SeriesKey]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the batch's (series ids, metric ids), those of its new series filled in."""
    if not batch.new_series:
        return batch.series_ids, batch.metric_ids
    keys = [registered[labels] for labels in batch.new_series]
    series_of = np.array([key.series_id for key in keys], np.int32)
    metric_of = np.array([key.metric_id for key in keys], np.int32)
    new = batch.series_ids < 0
    place = -1 - batch.series_ids[new]
    series_ids, metric_ids = batch.series_ids.copy(), batch.metric_ids.copy()
    series_ids[new], metric_ids[new] = series_of[place], metric_of[place]
    return series_ids, metric_ids


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
