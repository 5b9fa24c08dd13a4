"""Takes messages from RabbitMQ: fetched ahead in the background, acknowledged when stored.

When the connection breaks, the broker delivers again whatever was not acknowledged, perhaps to
another worker; an acknowledgement that comes too late goes nowhere, and the ledger of messages
keeps what comes twice from counting twice.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from pika.channel import Channel
from structlog.typing import FilteringBoundLogger

from tidegauge.broker.protocol import Delivery
from tidegauge.broker.rabbitmq_dead_letters import RabbitDeadLetters
from tidegauge.broker.rabbitmq_link import LinkState, RabbitLink
from tidegauge.broker.rabbitmq_messages import to_foreign_message, to_message
from tidegauge.broker.rabbitmq_topology import INGEST_QUEUE
from tidegauge.config import BrokerConfig
from tidegauge.errors import InvalidInput, Unavailable

# A delivery's tag is the broker's, with the number of the connection above it.
_TAG_BITS = 48
_TAG_MASK = (1 << _TAG_BITS) - 1
# Writing takes several times the memory of what is written, so a batch is bounded; with usual
# messages that is more than is ever fetched ahead.
MOST_TAKEN_BYTES = 8 * 1024 * 1024


class RabbitConsumer:
    """A Consumer from RabbitMQ, for one writer; connects when made.

    Args:
        config: where, which queue, how many messages ahead.
        dead_letters: where messages go that cannot be stored.
        log: is told of losses and returns.
        monotonic: seconds; the clock of lingering.
    """

    durable = True

    def __init__(
        self,
        config: BrokerConfig,
        *,
        dead_letters: RabbitDeadLetters,
        log: FilteringBoundLogger | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._dead_letters = config, dead_letters
        self._log, self._monotonic = log or structlog.get_logger(), monotonic
        self._arrived = threading.Condition()
        self._waiting: deque[Delivery] = deque()
        self._waiting_samples = 0
        # By tag of this connection, in order: fetched and not settled.
        self._outstanding: dict[int, None] = {}
        self._connections = 0
        self._channel: Channel | None = None
        self._closed = False
        self._link = RabbitLink(config, self, name="consumer", log=self._log, monotonic=monotonic)
        self._link.start()

    def take(self, *, max_samples: int, linger_s: float, timeout_s: float) -> Sequence[Delivery]:
        """Return what has arrived, after lingering for more; none after timeout_s.

        More than MOST_TAKEN_BYTES waits for the next call, unless it is one message alone.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: self._waiting or self._closed, timeout_s):
                return []
            until_s = self._monotonic() + linger_s
            while self._waiting_samples < max_samples and not self._closed:
                # All that may be fetched ahead is here: there is nothing to linger for.
                if len(self._outstanding) >= self._config.prefetch:
                    break
                left_s = until_s - self._monotonic()
                if left_s <= 0 or not self._arrived.wait(left_s):
                    break
            return self._take_some()

    def _take_some(self) -> list[Delivery]:
        taken: list[Delivery] = []
        left_bytes = MOST_TAKEN_BYTES
        while self._waiting:
            left_bytes -= len(self._waiting[0].message.body)
            if taken and left_bytes < 0:
                break
            taken.append(self._waiting.popleft())
            self._waiting_samples -= taken[-1].message.count
        return taken

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these are stored."""
        tags = [delivery.tag for delivery in deliveries]
        self._link.run_soon(lambda: self._acknowledge(tags))

    def requeue(self, deliveries: Sequence[Delivery]) -> None:
        """Give these back to the broker, which delivers them again to whoever is next."""
        tags = [delivery.tag for delivery in deliveries]
        self._link.run_soon(lambda: self._give_back(tags))

    def give_up(self, deliveries: Sequence[Delivery], reason: str) -> None:
        """Give these back: a durable queue lets nothing go."""
        self.requeue(deliveries)

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Put this one aside with the reason; if that cannot be done now, it is delivered again."""
        message = delivery.message
        about = {
            "message_id": message.id.hex(),
            "request_id": message.request_id,
            "samples": message.count,
            "reason": reason,
        }
        try:
            self._dead_letters.put(message, reason)
        except Unavailable as exc:
            self._log.warning("a dead letter could not be put aside", error=exc.message, **about)
            self.requeue([delivery])
            return
        self._log.error("message dead-lettered", **about)
        self.acknowledge([delivery])

    def depth(self) -> int:
        """Return how many messages are ready in the queue, or held here and not settled.

        Raises:
            Unavailable: RabbitMQ cannot be asked.
        """
        return self._link.depth() + len(self._outstanding)

    def state(self) -> LinkState:
        """Return how the connection is doing."""
        return self._link.state()

    def close(self) -> None:
        """Let go; what was not acknowledged is delivered again, to others."""
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()
        self._link.close()

    # From here on everything runs on the link's thread.

    def on_ready(self, channel: Channel) -> None:
        """Ask for messages."""
        with self._arrived:
            self._connections += 1
            self._channel = channel
        channel.add_on_cancel_callback(
            lambda _frame: self._link.drop(f"the queue {INGEST_QUEUE} is gone")
        )
        channel.basic_qos(
            prefetch_count=self._config.prefetch,
            callback=lambda _frame: channel.basic_consume(INGEST_QUEUE, self._on_message),
        )

    def on_lost(self) -> None:
        """Forget what was fetched and not taken: it comes again."""
        with self._arrived:
            self._channel = None
            self._waiting.clear()
            self._waiting_samples = 0
            self._outstanding.clear()

    def on_unblocked(self) -> None:
        """Nothing waits for that: a consumer publishes nothing."""

    def _on_message(self, _channel: Channel, method: Any, properties: Any, body: bytes) -> None:
        try:
            message = to_message(properties, body)
        except InvalidInput:
            # The writer finds out that it cannot be read, and puts it aside.
            message = to_foreign_message(properties, body)
        tag = self._connections << _TAG_BITS | method.delivery_tag
        with self._arrived:
            self._outstanding[tag] = None
            self._waiting.append(Delivery(tag, message, bool(method.redelivered)))
            self._waiting_samples += message.count
            self._arrived.notify()

    def _acknowledge(self, tags: Sequence[int]) -> None:
        mine = self._take_out(tags)
        # On a channel that is closing it is too late: the broker delivers these again.
        if not mine or self._channel is None or not self._channel.is_open:
            return
        # One frame says it for all, where nothing older is still being worked on.
        if next(iter(self._outstanding), mine[-1] + 1) > mine[-1]:
            self._channel.basic_ack(mine[-1] & _TAG_MASK, multiple=True)
            return
        for tag in mine:
            self._channel.basic_ack(tag & _TAG_MASK)

    def _give_back(self, tags: Sequence[int]) -> None:
        for tag in self._take_out(tags):
            if self._channel is not None and self._channel.is_open:
                self._channel.basic_nack(tag & _TAG_MASK, requeue=True)

    def _take_out(self, tags: Sequence[int]) -> list[int]:
        """Return those of the tags that this connection still waits for, in order."""
        with self._arrived:
            mine = sorted(tag for tag in set(tags) if tag in self._outstanding)
            for tag in mine:
                del self._outstanding[tag]
            return mine
