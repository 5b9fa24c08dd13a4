"""Storage that fails when told to, publishers in the background, and messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from tidegauge.broker.inprocess import InProcessBroker
from tidegauge.broker.protocol import Delivery, Message
from tidegauge.errors import InvalidInput, Unavailable
from tidegauge.ingest.codec import CODEC_VERSION, encode_batch
from tidegauge.model.batch import MetricMetadata, SampleBatch
from tidegauge.model.labels import Labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.storage.memory import MemoryStorage
from tidegauge.storage.protocol import ReadBudget, StoredBatch

PATIENCE_S = 20.0
POISON_VALUE = 666.0


class FragileStorage(MemoryStorage):
    """A storage that goes away at chosen calls, and refuses one value.

    `failures` says for each method how many of its next calls fail; `fail_after` lists methods
    that do their work and then fail, as when a connection breaks before the answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[str, int] = {}
        self.fail_after: set[str] = set()
        self.appends: list[int] = []

    def append(self, batch: StoredBatch) -> Sequence[bytes]:
        if (batch.values == POISON_VALUE).any():
            raise InvalidInput("the database refuses value 666")
        self.appends.append(len(batch.message_ids))
        return self._fragile("append", lambda: super(FragileStorage, self).append(batch))

    def find_series(self, label_sets):
        return self._fragile("find_series", lambda: MemoryStorage.find_series(self, label_sets))

    def register_series(self, label_sets):
        return self._fragile(
            "register_series", lambda: MemoryStorage.register_series(self, label_sets)
        )

    def touch_series(self, series_ids: np.ndarray, seen_ms: int) -> None:
        self._fragile("touch_series", lambda: MemoryStorage.touch_series(self, series_ids, seen_ms))

    def store_metadata(self, metadata: Sequence[MetricMetadata]) -> None:
        self._fragile("store_metadata", lambda: MemoryStorage.store_metadata(self, metadata))

    def _fragile(self, name: str, work: Callable):
        failing = self.failures.get(name, 0) > 0
        if failing:
            self.failures[name] -= 1
        if failing and name not in self.fail_after:
            raise Unavailable("the database is away")
        result = work()
        if failing:
            raise Unavailable("the connection broke before the answer")
        return result

    def samples(self) -> dict[Labels, list[tuple[int, float]]]:
        """Return all samples by label set."""
        everything = [Matcher(MatchType.REGEX, "__name__", ".+")]
        budget = ReadBudget(10**6, time.monotonic() + PATIENCE_S)
        frame = self.select(everything, -(2**62), 2**62, budget)
        pairs = list(zip(frame.times_ms.tolist(), frame.values.tolist(), strict=True))
        ends = zip(frame.offsets[:-1].tolist(), frame.offsets[1:].tolist(), strict=True)
        return {
            labels: pairs[low:high] for labels, (low, high) in zip(frame.labels, ends, strict=True)
        }


class DurableQueue(InProcessBroker):
    """A queue whose messages outlive the writer: what is given up is delivered again."""

    durable = True

    def give_up(self, deliveries: Sequence[Delivery], reason: str) -> None:
        self.requeue(deliveries)


class Publishing:
    """A publish in the background, and its outcome."""

    def __init__(self, broker: InProcessBroker, message: Message) -> None:
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(broker, message))
        before = broker.depth()
        self._thread.start()
        while broker.depth() == before and self._thread.is_alive():
            pass

    def _run(self, broker: InProcessBroker, message: Message) -> None:
        try:
            broker.publish(message, timeout_s=PATIENCE_S)
        except (Unavailable, InvalidInput) as exc:
            self.error = exc

    def outcome(self) -> Exception | None:
        """Return what the publisher heard: None for a confirmation."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.error


def make_message(
    number: int, labels: Labels, samples: Sequence[tuple[int, float]], metadata=()
) -> Message:
    """Return a message with samples of one series that is not known yet."""
    count = len(samples)
    batch = SampleBatch(
        np.full(count, -1, np.int32),
        np.zeros(count, np.int32),
        np.array([time_ms for time_ms, _ in samples], np.int64),
        np.array([value for _, value in samples], np.float64),
        new_series=(labels,) if count else (),
        metadata=tuple(metadata),
    )
    return Message(
        number.to_bytes(16, "big"), CODEC_VERSION, count, f"r{number}", encode_batch(batch)
    )
