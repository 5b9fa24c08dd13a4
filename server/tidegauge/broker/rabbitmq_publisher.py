"""Publishes to RabbitMQ, and returns when the broker has confirmed.

Confirms are gathered over concurrent requests: each waits for its own message, none for another's.
A connection that breaks is made again behind the scenes; what was not confirmed is sent again
under its old id, as long as its request waits for it.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from pika.channel import Channel
from structlog.typing import FilteringBoundLogger

from tidegauge.broker.errors import NotConfirmed, QueueFull
from tidegauge.broker.protocol import Message
from tidegauge.broker.rabbitmq_entrance import Entrance, close_if_nowhere
from tidegauge.broker.rabbitmq_link import LinkState, RabbitLink, describe
from tidegauge.broker.rabbitmq_messages import to_properties
from tidegauge.broker.rabbitmq_topology import ENTRY_EXCHANGE, INGEST_QUEUE
from tidegauge.config import BrokerConfig
from tidegauge.errors import TidegaugeError, Unavailable

RETRY_AFTER_S = 5
RETRY_AFTER_FULL_S = 1
RETRY_REFUSED_S = 0.2


class _Entry:
    """A message on its way, and the request that waits for it."""

    __slots__ = ("abandoned", "error", "message", "settled")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.abandoned = False
        self.error: TidegaugeError | None = None
        self.settled = threading.Event()


class RabbitPublisher:
    """A Publisher to RabbitMQ; safe from any number of threads.

    Args:
        config: where, and which queue.
        max_messages, max_bytes: most that is waiting or sent and not confirmed.
        log: is told of losses and returns.
        monotonic: seconds.
    """

    def __init__(
        self,
        config: BrokerConfig,
        *,
        max_messages: int,
        max_bytes: int,
        log: FilteringBoundLogger | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._max_messages, self._max_bytes = config, max_messages, max_bytes
        self._lock = threading.Lock()
        self._waiting: deque[_Entry] = deque()
        self._sent: dict[int, _Entry] = {}
        self._bytes = 0
        self._channel: Channel | None = None
        self._last_tag = 0
        self._pump_asked = False
        self._holding_back = False
        self._closed = False
        self._link = RabbitLink(
            config,
            self,
            name="publisher",
            log=log or structlog.get_logger(),
            monotonic=monotonic,
        )
        self._entrance = Entrance(
            self._link,
            # Classic queues are found again, killed at whatever moment.
            settle_s=config.settle_s if config.queue_type == "quorum" else 0,
        )
        self._link.start()

    def publish(self, message: Message, *, timeout_s: float) -> None:
        """Return once the broker has the message safe.

        Raises:
            QueueFull: the buffer here, or the queue there, holds as much as it may.
            NotConfirmed: RabbitMQ is away, or did not confirm in time.
            Unavailable: RabbitMQ is at an alarm, or its queue is too new to be safe.
        """
        entry = self._enqueue(message)
        self._ask_to_pump()
        if not entry.settled.wait(timeout_s) and self._abandon(entry):
            raise NotConfirmed(
                f"RabbitMQ did not confirm within {timeout_s:.3g} s: {self._describe()}; "
                "send it again",
                retry_after_s=RETRY_AFTER_S,
            )
        if entry.error is not None:
            raise entry.error

    def state(self) -> LinkState:
        """Return how the connection is doing; a queue that is too new counts as an alarm."""
        state, entrance = self._link.state(), self._entrance
        if state.connected and not entrance.found:
            return dataclasses.replace(
                state, connected=False, error="RabbitMQ has not said yet whether its queue is safe"
            )
        return dataclasses.replace(state, blocked=state.blocked or entrance.closed)

    def depth(self) -> int:
        """Return how many messages are ready in the queue, and how many wait here for a confirm.

        Raises:
            Unavailable: RabbitMQ cannot be asked.
        """
        return self._link.depth() + self.pending()

    def pending(self) -> int:
        """Return how many messages wait here, or are sent and not confirmed."""
        with self._lock:
            return len(self._waiting) + len(self._sent)

    def close(self) -> None:
        """Take no more; who still waits hears NotConfirmed."""
        with self._lock:
            self._closed = True
            entries = [*self._waiting, *self._sent.values()]
        self._link.close()
        for entry in entries:
            if not entry.settled.is_set():
                self._settle(entry, NotConfirmed("the connection to RabbitMQ is closing"))

    def _enqueue(self, message: Message) -> _Entry:
        blocked = self.state().blocked
        if blocked:
            # An alarm lasts until somebody makes room: nobody is kept waiting for that.
            raise _blocked(blocked)
        with self._lock:
            if self._closed:
                raise NotConfirmed("the connection to RabbitMQ is closing")
            if len(self._waiting) + len(self._sent) >= self._max_messages:
                raise self._full(f"{self._max_messages} messages", "TIDEGAUGE_QUEUE_MESSAGES")
            if self._bytes + len(message.body) > self._max_bytes:
                raise self._full(f"{self._max_bytes} bytes", "TIDEGAUGE_QUEUE_BYTES")
            entry = _Entry(message)
            self._waiting.append(entry)
            self._bytes += len(message.body)
            return entry

    def _full(self, limit: str, setting: str) -> QueueFull:
        return QueueFull(
            f"{limit} wait for RabbitMQ, which is the limit ({setting}): {describe(self.state())}",
            retry_after_s=RETRY_AFTER_S,
        )

    def _describe(self) -> str:
        if self._holding_back:
            return (
                f"it refuses messages although {INGEST_QUEUE} is not full, as a queue without a "
                "leader does; one that was killed when it was new stays so until it is deleted"
            )
        return describe(self.state())

    def _abandon(self, entry: _Entry) -> bool:
        """Let a request go that waited long enough; return False if it was settled just now."""
        with self._lock:
            if entry.settled.is_set():
                return False
            entry.abandoned = True
            # What was handed to the connection takes memory there until it is confirmed or lost.
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._bytes -= len(entry.message.body)
            return True

    def _ask_to_pump(self) -> None:
        with self._lock:
            if self._pump_asked or self._channel is None:
                return
            self._pump_asked = True
        if not self._link.run_soon(self._pump):
            with self._lock:
                self._pump_asked = False

    # From here on everything runs on the link's thread.

    def on_ready(self, channel: Channel) -> None:
        """Send what waits, once the way into the queue is open."""
        channel.add_on_return_callback(self._on_returned)
        channel.confirm_delivery(self._on_confirm)
        self._entrance.find(
            channel, on_open=lambda: self._on_open(channel), on_closed=self._on_too_new
        )

    def _on_open(self, channel: Channel) -> None:
        with self._lock:
            self._channel, self._last_tag, self._holding_back = channel, 0, False
        self._pump()

    def _on_too_new(self) -> None:
        with self._lock:
            entries = list(self._waiting)
            self._waiting.clear()
            self._bytes -= sum(len(entry.message.body) for entry in entries)
        for entry in entries:
            self._settle(entry, _blocked(self._entrance.closed))

    def on_lost(self) -> None:
        """Put what was not confirmed back in front of what waits."""
        self._entrance.forget()
        with self._lock:
            self._channel, self._pump_asked = None, False
            sent, self._sent = list(self._sent.values()), {}
            self._put_in_front(sent)

    def on_unblocked(self) -> None:
        """Send what waits."""
        self._pump()

    def _pump(self) -> None:
        while True:
            with self._lock:
                self._pump_asked = False
                channel = self._channel
                if channel is None or not channel.is_open or self._link.state().blocked:
                    return
                if self._holding_back or not self._waiting:
                    return
                entry = self._waiting.popleft()
                self._last_tag += 1
                self._sent[self._last_tag] = entry
            channel.basic_publish(
                ENTRY_EXCHANGE, "", entry.message.body, to_properties(entry.message), mandatory=True
            )

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        with self._lock:
            if method.multiple:
                tags = [tag for tag in self._sent if tag <= method.delivery_tag]
            else:
                tags = [method.delivery_tag]
            entries = [self._sent.pop(tag) for tag in tags if tag in self._sent]
            if method.NAME != "Basic.Ack" and not self._is_full():
                self._keep_for_later(entries)
                return
            self._bytes -= sum(len(entry.message.body) for entry in entries)
        error = None if method.NAME == "Basic.Ack" else self._refused()
        for entry in entries:
            self._settle(entry, entry.error or error)

    def _is_full(self) -> bool:
        depth = self._link.state().depth
        return depth is not None and depth * 10 >= self._config.queue_messages * 9

    def _keep_for_later(self, entries: Sequence[_Entry]) -> None:
        """Send what was refused again: right after a restart a queue has no leader for a while."""
        self._put_in_front(entries)
        # One wait for all: were each refusal, or each new request, to send all that waits, the
        # more the broker refuses the more it would get.
        if not self._holding_back:
            self._holding_back = True
            self._link.run_later(RETRY_REFUSED_S, self._end_hold)

    def _end_hold(self) -> None:
        with self._lock:
            self._holding_back = False
        self._pump()

    def _put_in_front(self, entries: Sequence[_Entry]) -> None:
        """Let these wait before all others, under the lock, but for those nobody waits for."""
        again = [entry for entry in entries if not entry.abandoned]
        self._bytes -= sum(len(entry.message.body) for entry in entries if entry.abandoned)
        for entry in again:
            # What became of this attempt says nothing about the next.
            entry.error = None
        self._waiting.extendleft(reversed(again))

    def _refused(self) -> QueueFull:
        return QueueFull(
            f"the queue {INGEST_QUEUE} holds its limit of {self._config.queue_messages} messages "
            "(TIDEGAUGE_RABBITMQ_QUEUE_MESSAGES); workers are slower than what comes in",
            retry_after_s=RETRY_AFTER_FULL_S,
        )

    def _on_returned(self, channel: Channel, _method: Any, properties: Any, _body: bytes) -> None:
        # The way into the queue leads nowhere. The confirmation of this message still follows.
        with self._lock:
            for entry in self._sent.values():
                if entry.message.id.hex() == properties.message_id:
                    entry.error = NotConfirmed(
                        f"the exchange {ENTRY_EXCHANGE} leads nowhere; send it again",
                        retry_after_s=RETRY_AFTER_FULL_S,
                    )
        close_if_nowhere(channel)
        self._link.run_soon(lambda: self._link.drop(f"the exchange {ENTRY_EXCHANGE} leads nowhere"))

    @staticmethod
    def _settle(entry: _Entry, error: TidegaugeError | None) -> None:
        entry.error = error
        entry.settled.set()


def _blocked(reason: str) -> Unavailable:
    return Unavailable(f"RabbitMQ takes no messages: {reason}", retry_after_s=RETRY_AFTER_S)
