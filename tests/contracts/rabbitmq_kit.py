"""RabbitMQ as one object that publishes, consumes and handles dead letters, with fresh queues."""

from __future__ import annotations

import contextlib
import dataclasses

import pika
import pika.exceptions
from tidegauge.broker.rabbitmq_consumer import RabbitConsumer
from tidegauge.broker.rabbitmq_dead_letters import RabbitDeadLetters
from tidegauge.broker.rabbitmq_publisher import RabbitPublisher
from tidegauge.broker.rabbitmq_topology import DEAD_LETTER_QUEUE, INGEST_QUEUE
from tidegauge.config import BrokerConfig

from tests.support.servers import wait_until


def delete_queues(url: str) -> None:
    """Delete our queues, with whatever is in them."""
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        channel = connection.channel()
        for name in (INGEST_QUEUE, DEAD_LETTER_QUEUE):
            channel.queue_delete(name)


def empty_queues(url: str) -> None:
    """Empty our queues, where there are any."""
    parameters = pika.URLParameters(url)
    for name in (INGEST_QUEUE, DEAD_LETTER_QUEUE):
        with (
            contextlib.closing(pika.BlockingConnection(parameters)) as connection,
            contextlib.suppress(pika.exceptions.ChannelClosedByBroker),
        ):
            connection.channel().queue_purge(name)


class RabbitBroker:
    """A Publisher, a Consumer and DeadLetters on empty queues.

    The queues are kept from test to test, and what needs others gets a virtual host of its own:
    RabbitMQ 3.10 does not find a quorum queue again after a restart that was deleted and made anew
    just before.

    Args:
        url: the server.
        changes: settings other than the default ones.
    """

    durable = True

    def __init__(self, url: str, *, max_messages: int = 1000, **changes: object) -> None:
        empty_queues(url)
        self.config = dataclasses.replace(BrokerConfig(url=url), **changes)
        self.letters = RabbitDeadLetters(self.config)
        self.publisher = RabbitPublisher(self.config, max_messages=max_messages, max_bytes=10**8)
        self._consumers: list[RabbitConsumer] = []
        wait_until(self._takes_messages, timeout_s=60, what="it takes messages")
        self.publish, self.depth = self.publisher.publish, self.publisher.depth
        self.count, self.find = self.letters.count, self.letters.find
        self.read_oldest = self.letters.read_oldest
        self.replay, self.purge = self.letters.replay, self.letters.purge

    def _takes_messages(self) -> bool:
        state = self.publisher.state()
        return state.connected and state.depth is not None and not state.blocked

    @property
    def consumer(self) -> RabbitConsumer:
        """The consumer, made when first asked for."""
        return self._consumers[0] if self._consumers else self.add_consumer()

    def add_consumer(self) -> RabbitConsumer:
        """Make one more consumer."""
        self._consumers.append(RabbitConsumer(self.config, dead_letters=self.letters))
        return self._consumers[-1]

    def take(self, *, max_samples: int, linger_s: float, timeout_s: float):
        return self.consumer.take(max_samples=max_samples, linger_s=linger_s, timeout_s=timeout_s)

    def acknowledge(self, deliveries) -> None:
        self.consumer.acknowledge(deliveries)

    def requeue(self, deliveries) -> None:
        self.consumer.requeue(deliveries)

    def give_up(self, deliveries, reason: str) -> None:
        self.consumer.give_up(deliveries, reason)

    def dead_letter(self, delivery, reason: str) -> None:
        self.consumer.dead_letter(delivery, reason)

    def close(self) -> None:
        for one in (*self._consumers, self.publisher):
            one.close()
