"""The IngestService: a request's body in, and back only when its samples are durable.

Source: SPEC §2 and §13.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

import numpy as np

from tidegauge.broker.protocol import Message, Publisher
from tidegauge.config import IngestConfig
from tidegauge.errors import InvalidInput
from tidegauge.ingest.admission import Admission, Incoming
from tidegauge.ingest.cardinality import CardinalityGuard, CardinalityLimits, Road
from tidegauge.ingest.codec import CODEC_VERSION, encode_batch
from tidegauge.ingest.decompress import decompress
from tidegauge.ingest.errors import RefusedSeries, Rejection, UnsupportedMedia
from tidegauge.ingest.json_points import decode_points
from tidegauge.ingest.label_rules import check_wire_labels
from tidegauge.ingest.meter import IngestMeter, SilentMeter
from tidegauge.ingest.outcomes import (
    JsonOutcome,
    RemoteWriteOutcome,
    SamplesRejected,
    to_json_errors,
)
from tidegauge.ingest.registry import SeriesRegistry
from tidegauge.ingest.remote_write.columns import WireColumns
from tidegauge.ingest.remote_write.decode import decode_request
from tidegauge.ingest.split import split_batch
from tidegauge.model.batch import MetricMetadata, SampleBatch
from tidegauge.model.labels import Labels
from tidegauge.observability.tracing import current_traceparent, span
from tidegauge.storage.protocol import Catalogue

OWN_REQUEST_ID, RESULTS_REQUEST_ID = "own-metrics", "rules"
REMOTE_WRITE_1 = "prometheus.WriteRequest"
_PROTOBUF = "application/x-protobuf"
_ID_RANDOM_BYTES = 10


def make_message_id(now_ms: int, random_bytes: bytes) -> bytes:
    """Return a message id of 16 bytes: the time first, so that the ledger's index grows at its end.

    Args:
        now_ms: Unix ms.
        random_bytes: 10 of them; what tells messages of the same time apart.
    """
    return now_ms.to_bytes(6, "big", signed=False) + random_bytes


class IngestService:
    """Takes requests in; safe from any number of threads.

    Args:
        publisher: where batches go.
        catalogue: what series there are.
        config: limits.
        confirm_timeout_s: how long to wait until a batch is durable; by default as the settings
            say of the queue inside the process.
        max_message_bytes: a larger batch goes in several messages; None: in one, whatever its size.
        meter: is told what happened.
        monotonic: seconds; the clock of cached counts and of waiting.
        random_bytes: returns so many random bytes, for message ids.
    """

    def __init__(
        self,
        *,
        publisher: Publisher,
        catalogue: Catalogue,
        config: IngestConfig,
        confirm_timeout_s: float | None = None,
        max_message_bytes: int | None = None,
        meter: IngestMeter | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._publisher, self._config = publisher, config
        self._confirm_timeout_s = confirm_timeout_s or config.confirm_timeout_s
        self._meter = meter or SilentMeter()
        self._max_message_bytes = max_message_bytes
        self._monotonic, self._random_bytes = monotonic, random_bytes
        self._registry = SeriesRegistry(max_series=config.registry_series)
        limits = CardinalityLimits(
            config.series_per_metric_json, config.series_per_metric_prometheus, config.series_total
        )
        self._admission = Admission(
            registry=self._registry,
            catalogue=catalogue,
            guard=CardinalityGuard(catalogue=catalogue, limits=limits, monotonic=monotonic),
            max_past_ms=config.max_past_s * 1000,
            max_future_ms=config.max_future_s * 1000,
            meter=self._meter,
        )

    def ingest_json(self, body: bytes, encoding: str, request_id: str, now_ms: int) -> JsonOutcome:
        """Take the body of `POST /api/v1/metrics`; return once the good points are durable.

        Args:
            body: as received.
            encoding: the Content-Encoding, "" if there was none.
            request_id: for the logs.
            now_ms: Unix ms: the time of points that have none, and what limits count from.
        Raises:
            InvalidInput: not JSON, or not a list. PayloadTooLarge: too long. UnsupportedMedia:
            unknown encoding. Unavailable: not durable; send it again.
        """
        raw = decompress(body, encoding, max_bytes=self._config.max_body_bytes)
        incoming = decode_points(
            raw, self._registry, now_ms=now_ms, max_labels=self._config.max_labels
        )
        admitted = self._admission.admit(incoming, Road.JSON, now_ms)
        self._publish(admitted.batch, request_id, now_ms)
        self._count("json", admitted.batch.count, admitted.rejections)
        return JsonOutcome(
            accepted=admitted.batch.count,
            rejected=len(admitted.rejections),
            errors=to_json_errors(admitted.rejections),
        )

    def ingest_remote_write(
        self, body: bytes, encoding: str, content_type: str, request_id: str, now_ms: int
    ) -> RemoteWriteOutcome:
        """Take a remote write 1.0 request; return once all its samples are durable.

        Args:
            body: as received.
            encoding: the Content-Encoding; "" means snappy, the only one there is.
            content_type: the Content-Type; "" means remote write 1.0.
            request_id: for the logs.
            now_ms: Unix ms.
        Raises:
            SamplesRejected: some were refused; the others are durable. InvalidInput: not a
            WriteRequest. PayloadTooLarge: too long. UnsupportedMedia: another encoding or
            protocol. Unavailable: not durable; send it again.
        Source: the Prometheus remote write specification 1.0.
        """
        check_remote_write_type(content_type)
        if encoding.strip().lower() not in ("", "snappy"):
            raise UnsupportedMedia(f"remote write wants Content-Encoding snappy, not {encoding!r}")
        raw = decompress(body, "snappy", max_bytes=self._config.max_body_bytes)
        columns = decode_request(raw, self._registry)
        admitted = self._admission.admit(self._check_labels(columns), Road.PROMETHEUS, now_ms)
        self._publish(admitted.batch, request_id, now_ms)
        return self._finish_remote_write(columns, admitted.batch.count, admitted.rejections)

    def ingest_own(
        self,
        samples: Sequence[tuple[Labels, float]],
        metadata: Sequence[MetricMetadata],
        *,
        now_ms: int,
        timeout_s: float,
    ) -> None:
        """Take one sample each of series of our own; return once they are durable.

        Args:
            samples: label sets, `__name__` included, with their values at now_ms.
            metadata: of their metrics.
            now_ms: Unix ms.
            timeout_s: how long to wait.
        Raises:
            InvalidInput: some were refused, by the cardinality guard; the others are durable.
            Unavailable: not durable.
        """
        incoming = self._find_series(
            [labels for labels, _ in samples],
            np.full(len(samples), now_ms, np.int64),
            np.array([value for _, value in samples], np.float64),
        )
        incoming.metadata = tuple(metadata)
        admitted = self._admission.admit(incoming, Road.PROMETHEUS, now_ms)
        self._publish(admitted.batch, OWN_REQUEST_ID, now_ms, timeout_s=timeout_s)
        self._count("own", admitted.batch.count, admitted.rejections)
        if admitted.rejections:
            raise InvalidInput(admitted.rejections[0].error)

    def ingest_results(
        self,
        labels: Sequence[Labels],
        times_ms: np.ndarray,
        values: np.ndarray,
        *,
        now_ms: int,
        timeout_s: float,
    ) -> Sequence[str]:
        """Take one sample each of series that rules give; return once they are durable.

        The same samples make messages with the same ids, so that those that are sent again count
        once.

        Args:
            labels: of the series, `__name__` included.
            times_ms: int64, shape (len(labels),).
            values: float64, shape (len(labels),).
            now_ms: Unix ms.
            timeout_s: how long to wait.
        Returns:
            Why some were refused: by the cardinality guard, or for their time.
        Raises:
            Unavailable: not durable.
        """
        incoming = self._find_series(labels, times_ms, values)
        admitted = self._admission.admit(incoming, Road.PROMETHEUS, now_ms)
        # Their time, not that of the attempt, goes into the ids.
        of_ms = int(times_ms.max(initial=0))
        self._publish(
            admitted.batch, RESULTS_REQUEST_ID, of_ms, timeout_s=timeout_s, by_content=True
        )
        self._count("rules", admitted.batch.count, admitted.rejections)
        return [one.error for one in admitted.rejections]

    def _find_series(
        self, labels: Sequence[Labels], times_ms: np.ndarray, values: np.ndarray
    ) -> Incoming:
        known = [self._registry.find(one) for one in labels]
        unknown = {place: one for place, one in enumerate(labels) if not known[place]}
        return Incoming(
            np.array(known, np.int64),
            np.arange(len(labels)),
            times_ms,
            values,
            forms=dict(unknown),
            labels=unknown,
        )

    def _check_labels(self, columns: WireColumns) -> Incoming:
        incoming = Incoming(
            columns.ids,
            columns.positions,
            columns.times_ms,
            columns.values,
            metadata=tuple(said for said in columns.metadata if said.name),
        )
        if not columns.labels:
            return incoming
        counts = np.bincount(columns.positions, minlength=len(columns.ids)).tolist()
        for position, raw in columns.labels.items():
            try:
                incoming.labels[position] = check_wire_labels(
                    raw,
                    max_labels=self._config.max_labels,
                    max_value_bytes=self._config.max_label_value_bytes,
                )
                incoming.forms[position] = columns.keys[position]
            except RefusedSeries as exc:
                incoming.refused[position] = Rejection(
                    position, exc.code, exc.message, samples=counts[position]
                )
        return incoming

    def _finish_remote_write(
        self, columns: WireColumns, accepted: int, rejections: Sequence[Rejection]
    ) -> RemoteWriteOutcome:
        self._count("remote_write", accepted, rejections)
        for kind, count in (("exemplars", columns.exemplars), ("histograms", columns.histograms)):
            if count:
                self._meter.not_stored(kind, count)
        outcome = RemoteWriteOutcome(
            accepted=accepted,
            rejected=sum(one.samples for one in rejections),
            errors=rejections,
            exemplars_not_stored=columns.exemplars,
            histograms_not_stored=columns.histograms,
        )
        if rejections:
            raise SamplesRejected(outcome)
        return outcome

    def _publish(
        self,
        batch: SampleBatch,
        request_id: str,
        now_ms: int,
        *,
        timeout_s: float | None = None,
        by_content: bool = False,
    ) -> None:
        if not batch.count and not batch.metadata:
            return
        with span("queue.publish", samples=batch.count, request_id=request_id):
            # Of a request whose last part fails the first ones stay: sent again, they count once.
            deadline_s = self._monotonic() + (timeout_s or self._confirm_timeout_s)
            for part in self._split(batch):
                body = encode_batch(part)
                distinct = (
                    blake2b(body, digest_size=_ID_RANDOM_BYTES).digest()
                    if by_content
                    else self._random_bytes(_ID_RANDOM_BYTES)
                )
                message = Message(
                    id=make_message_id(now_ms, distinct),
                    codec=CODEC_VERSION,
                    count=part.count,
                    request_id=request_id,
                    body=body,
                    trace=current_traceparent(),
                )
                left_s = max(0.0, deadline_s - self._monotonic())
                self._publisher.publish(message, timeout_s=left_s)

    def _split(self, batch: SampleBatch) -> Iterable[SampleBatch]:
        if self._max_message_bytes is None:
            return [batch]
        return split_batch(batch, max_bytes=self._max_message_bytes)

    def _count(self, protocol: str, accepted: int, rejections: Sequence[Rejection]) -> None:
        self._meter.points_accepted(protocol, accepted)
        refused: Counter[str] = Counter()
        for one in rejections:
            refused[one.code] += one.samples
        for code, count in refused.items():
            self._meter.points_rejected(code, count)


def check_remote_write_type(content_type: str) -> None:
    """Refuse a body that is not remote write 1.0, in words that say what is spoken.

    Raises:
        UnsupportedMedia: another type; Prometheus then falls back to 1.0.
    """
    kind, *parameters = (part.strip() for part in content_type.split(";"))
    proto = next(
        (part[6:].strip().strip('"') for part in parameters if part.lower().startswith("proto=")),
        REMOTE_WRITE_1,
    )
    if kind.lower() not in ("", _PROTOBUF) or proto != REMOTE_WRITE_1:
        raise UnsupportedMedia(
            f"Content-Type {content_type!r} is not spoken here; "
            f"{_PROTOBUF};proto={REMOTE_WRITE_1} (remote write 1.0) is"
        )
