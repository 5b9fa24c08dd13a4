"""A bounded queue inside one process: a message is confirmed once its samples are committed.

Nothing outlives the process, and nothing needs to: a publisher returns only after the commit,
so whoever was promised durability has it, and whoever was not sends again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog
from structlog.typing import FilteringBoundLogger

from tidegauge.broker.errors import MessageRejected, NotConfirmed, QueueFull, StoppedMidway
from tidegauge.broker.protocol import DeadLetter, Delivery, Message
from tidegauge.errors import TidegaugeError, Unavailable

DEAD_LETTERS_KEPT = 100
RETRY_AFTER_FULL_S = 1
RETRY_AFTER_UNCONFIRMED_S = 5


class _Entry:
    """A message on its way, and the publisher that waits for its outcome."""

    __slots__ = ("error", "message", "redelivered", "settled", "tag")

    def __init__(self, tag: int, message: Message) -> None:
        self.tag, self.message, self.redelivered = tag, message, False
        self.error: TidegaugeError | None = None
        self.settled = threading.Event()


class InProcessBroker:
    """A Publisher and a Consumer over one queue in memory; safe from any number of threads.

    Args:
        max_messages: most messages waiting or taken and not settled.
        max_bytes: most bytes of bodies in these.
        monotonic: seconds; the clock of lingering.
        log: is told of dead letters.
        clock_ms: Unix ms, the time at which a message is put aside.
    """

    durable = False

    def __init__(
        self,
        *,
        max_messages: int,
        max_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
        log: FilteringBoundLogger | None = None,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._clock_ms = clock_ms
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._monotonic = monotonic
        self._log = log or structlog.get_logger()
        self._arrived = threading.Condition()
        self._waiting: deque[_Entry] = deque()
        self._taken: dict[int, _Entry] = {}
        self._waiting_samples = self._bytes = self._last_tag = 0
        self._dead: deque[DeadLetter] = deque(maxlen=DEAD_LETTERS_KEPT)
        self._dead_total = 0
        self._closed = False

    # The publisher's side.

    def publish(self, message: Message, *, timeout_s: float) -> None:
        """Return once the message is committed.

        Raises:
            QueueFull: at once; nothing was taken.
            NotConfirmed: not committed in time, or storage stayed away.
            MessageRejected: it was dead-lettered.
        """
        entry = self._enqueue(message)
        if not entry.settled.wait(timeout_s):
            self._withdraw(entry)
            if not entry.settled.is_set():
                raise NotConfirmed(
                    f"samples were not committed within {timeout_s:.3g} s; send them again",
                    retry_after_s=RETRY_AFTER_UNCONFIRMED_S,
                )
        if entry.error is not None:
            raise entry.error

    def _enqueue(self, message: Message) -> _Entry:
        with self._arrived:
            if self._closed:
                raise NotConfirmed("the queue is closing", retry_after_s=RETRY_AFTER_UNCONFIRMED_S)
            if self._count() >= self._max_messages:
                raise _full(f"{self._max_messages} messages", "TIDEGAUGE_QUEUE_MESSAGES")
            if self._bytes + len(message.body) > self._max_bytes:
                raise _full(f"{self._max_bytes} bytes", "TIDEGAUGE_QUEUE_BYTES")
            self._last_tag += 1
            entry = _Entry(self._last_tag, message)
            self._waiting.append(entry)
            self._waiting_samples += message.count
            self._bytes += len(message.body)
            self._arrived.notify()
            return entry

    def _withdraw(self, entry: _Entry) -> None:
        # Its sender is told to send again: what still waits is not worth writing any more.
        with self._arrived:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._waiting_samples -= entry.message.count
                self._bytes -= len(entry.message.body)

    # The consumer's side.

    def take(self, *, max_samples: int, linger_s: float, timeout_s: float) -> Sequence[Delivery]:
        """Return all that has arrived, after lingering for more; none after timeout_s."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._waiting or self._closed, timeout_s):
                return []
            self._linger(max_samples, linger_s)
            entries = list(self._waiting)
            self._waiting.clear()
            self._waiting_samples = 0
            self._taken.update((entry.tag, entry) for entry in entries)
            return [Delivery(entry.tag, entry.message, entry.redelivered) for entry in entries]

    def _linger(self, max_samples: int, linger_s: float) -> None:
        until_s = self._monotonic() + linger_s
        while self._waiting_samples < max_samples and not self._closed:
            left_s = until_s - self._monotonic()
            if left_s <= 0 or not self._arrived.wait(left_s):
                return

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these are committed; their publishers return."""
        for entry in self._settle(deliveries):
            entry.settled.set()

    def requeue(self, deliveries: Sequence[Delivery]) -> None:
        """Give these back, to be delivered again before all that came after them."""
        with self._arrived:
            entries = [self._taken.pop(one.tag) for one in deliveries if one.tag in self._taken]
            for entry in entries:
                entry.redelivered = True
            merged = sorted([*entries, *self._waiting], key=lambda entry: entry.tag)
            self._waiting = deque(merged)
            self._waiting_samples += sum(entry.message.count for entry in entries)
            self._arrived.notify()

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Put this one aside; its publisher hears MessageRejected."""
        for entry in self._settle([delivery]):
            message = entry.message
            self._log.error(
                "message dead-lettered",
                message_id=message.id.hex(),
                request_id=message.request_id,
                samples=message.count,
                reason=reason,
            )
            with self._arrived:
                self._dead.append(DeadLetter(message, reason, self._clock_ms()))
                self._dead_total += 1
            self._fail(entry, MessageRejected(f"samples cannot be stored: {reason}"))

    def give_up(self, deliveries: Sequence[Delivery], reason: str) -> None:
        """Let these go; their publishers hear NotConfirmed, and their senders send again."""
        for entry in self._settle(deliveries):
            refusal = NotConfirmed(
                f"samples could not be committed: {reason}",
                retry_after_s=RETRY_AFTER_UNCONFIRMED_S,
            )
            self._fail(entry, refusal)

    def depth(self) -> int:
        """Return how many messages wait or are taken but not settled."""
        with self._arrived:
            return self._count()

    # The dead letters: the last hundred are kept.

    def count(self) -> int:
        """Return how many dead letters are kept."""
        with self._arrived:
            return len(self._dead)

    def read_oldest(self, *, limit: int) -> Sequence[DeadLetter]:
        """Return the oldest dead letters, oldest first."""
        with self._arrived:
            return [*self._dead][:limit]

    def find(self, message_id: bytes) -> DeadLetter | None:
        """Return the oldest dead letter with this id, or None."""
        with self._arrived:
            return next((one for one in self._dead if one.message.id == message_id), None)

    def replay(self, ids: Sequence[bytes] | None) -> int:
        """Put these into the queue again, where nobody waits for them; return how many went.

        Raises:
            StoppedMidway: those that did not go are still dead letters.
        """
        chosen = self._chosen(ids)
        for done, letter in enumerate(chosen):
            try:
                self._enqueue(letter.message)
            except Unavailable as exc:
                raise StoppedMidway(done=done, wanted=len(chosen), reason=exc) from exc
            self._forget(letter)
        return len(chosen)

    def purge(self, ids: Sequence[bytes] | None) -> int:
        """Throw these dead letters away (None: all); return how many went."""
        chosen = self._chosen(ids)
        for letter in chosen:
            self._forget(letter)
        return len(chosen)

    def dead_letters_total(self) -> int:
        """Return how many messages were ever dead-lettered."""
        with self._arrived:
            return self._dead_total

    def _chosen(self, ids: Sequence[bytes] | None) -> Sequence[DeadLetter]:
        with self._arrived:
            return [one for one in self._dead if ids is None or one.message.id in ids]

    def _forget(self, letter: DeadLetter) -> None:
        with self._arrived:
            if letter in self._dead:
                self._dead.remove(letter)

    def close(self) -> None:
        """Take no more; who waits in the queue hears NotConfirmed, who was taken is settled."""
        with self._arrived:
            self._closed = True
            entries, self._waiting = list(self._waiting), deque()
            self._waiting_samples = 0
            self._bytes -= sum(len(entry.message.body) for entry in entries)
            self._arrived.notify_all()
        for entry in entries:
            self._fail(entry, NotConfirmed("the queue is closing"))

    def _settle(self, deliveries: Sequence[Delivery]) -> list[_Entry]:
        with self._arrived:
            entries = [self._taken.pop(one.tag) for one in deliveries if one.tag in self._taken]
            self._bytes -= sum(len(entry.message.body) for entry in entries)
            return entries

    def _count(self) -> int:
        return len(self._waiting) + len(self._taken)

    @staticmethod
    def _fail(entry: _Entry, error: TidegaugeError) -> None:
        entry.error = error
        entry.settled.set()


def _full(limit: str, setting: str) -> QueueFull:
    return QueueFull(
        f"the ingestion queue holds its limit of {limit}; storage is slower than what comes in, "
        f"or {setting} is too small",
        retry_after_s=RETRY_AFTER_FULL_S,
    )
