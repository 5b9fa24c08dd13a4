"""The dead letters in RabbitMQ: put aside, looked at, sent again, thrown away.

Each call makes a connection of its own. That is rare work, done by hand or after a fault, and
must not hold up the connection that acknowledges what was stored.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from tidegauge.broker.errors import StoppedMidway
from tidegauge.broker.protocol import DeadLetter, Message
from tidegauge.broker.rabbitmq_link import make_parameters
from tidegauge.broker.rabbitmq_messages import (
    dead_letter_headers,
    to_dead_letter,
    to_properties,
)
from tidegauge.broker.rabbitmq_topology import (
    DEAD_LETTER_QUEUE,
    ENTRY_EXCHANGE,
    dead_letter_arguments,
    explain_refusal,
)
from tidegauge.config import BrokerConfig
from tidegauge.errors import Unavailable


class RabbitDeadLetters:
    """The DeadLetters of the queue `metrics.dlq`; safe from any number of threads.

    Args:
        config: where.
        clock_ms: Unix ms, the time at which a message is put aside.
    """

    def __init__(
        self,
        config: BrokerConfig,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._config, self._clock_ms = config, clock_ms
        self._parameters = make_parameters(config)
        # A broker at its alarm confirms nothing: wait for that no longer than for a connection.
        self._parameters.blocked_connection_timeout = config.connect_timeout_s

    def put(self, message: Message, reason: str) -> None:
        """Put a message aside; return once the broker has it safe.

        Raises:
            Unavailable: it has not.
        """
        headers = dead_letter_headers(reason, self._clock_ms())
        with self._open() as channel:
            channel.basic_publish(
                "", DEAD_LETTER_QUEUE, message.body, to_properties(message, headers), mandatory=True
            )

    def count(self) -> int:
        """Return how many there are.

        Raises:
            Unavailable.
        """
        with self._open() as channel:
            return self._declare(channel)

    def read_oldest(self, *, limit: int) -> Sequence[DeadLetter]:
        """Return the oldest ones, oldest first, and leave them where they are.

        Raises:
            Unavailable.
        """
        with self._open() as channel:
            return [letter for _, letter in _walk(channel, min(limit, self._declare(channel)))]

    def find(self, message_id: bytes) -> DeadLetter | None:
        """Return the oldest one with this id, or None.

        Raises:
            Unavailable.
        """
        with self._open() as channel:
            letters = (letter for _, letter in _walk(channel, self._declare(channel)))
            return next((one for one in letters if one.message.id == message_id), None)

    def replay(self, ids: Sequence[bytes] | None) -> int:
        """Send these again under their old ids (None: all there are now); return how many went.

        Raises:
            Unavailable: what did not go is still there; StoppedMidway says how much that is.
        """

        def send(channel: BlockingChannel, letter: DeadLetter) -> None:
            properties = to_properties(letter.message)
            channel.basic_publish(
                ENTRY_EXCHANGE, "", letter.message.body, properties, mandatory=True
            )

        return self._settle(ids, send)

    def purge(self, ids: Sequence[bytes] | None) -> int:
        """Throw these away for good (None: all there are now); return how many went.

        Raises:
            Unavailable: what did not go is still there; StoppedMidway says how much that is.
        """
        return self._settle(ids, lambda _channel, _letter: None)

    def _settle(
        self, ids: Sequence[bytes] | None, do: Callable[[BlockingChannel, DeadLetter], None]
    ) -> int:
        wanted: Collection[bytes] | None = None if ids is None else set(ids)
        done = count = 0
        try:
            with self._open() as channel:
                count = self._declare(channel)
                for tag, letter in _walk(channel, count):
                    if wanted is None or letter.message.id in wanted:
                        do(channel, letter)
                        channel.basic_ack(tag)
                        done += 1
        except Unavailable as exc:
            if not count:
                raise
            most = count if wanted is None else len(wanted)
            raise StoppedMidway(done=done, wanted=most, reason=exc) from exc
        return done

    def _declare(self, channel: BlockingChannel) -> int:
        declared = channel.queue_declare(
            DEAD_LETTER_QUEUE, durable=True, arguments=dead_letter_arguments(self._config)
        )
        return int(declared.method.message_count)

    @contextlib.contextmanager
    def _open(self) -> Iterator[BlockingChannel]:
        """Lend a channel with confirms; what was fetched on it and not acknowledged goes back."""
        try:
            with pika.BlockingConnection(self._parameters) as connection:
                channel = connection.channel()
                channel.confirm_delivery()
                self._declare(channel)
                yield channel
        except (AMQPError, OSError) as exc:
            reason = explain_refusal(str(exc) or type(exc).__name__)
            raise Unavailable(f"RabbitMQ does not serve its dead letters: {reason}") from exc


def _walk(channel: BlockingChannel, most: int) -> Iterator[tuple[int, DeadLetter]]:
    """Fetch so many, oldest first, without acknowledging any."""
    for _ in range(most):
        method, properties, body = channel.basic_get(DEAD_LETTER_QUEUE)
        if method is None or properties is None or body is None:
            return
        yield method.delivery_tag, to_dead_letter(properties, body)
