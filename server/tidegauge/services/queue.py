"""The queue that the settings ask for: RabbitMQ, or one inside the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tidegauge.broker.inprocess import InProcessBroker
from tidegauge.broker.protocol import Consumer, DeadLetters
from tidegauge.broker.rabbitmq_consumer import RabbitConsumer
from tidegauge.broker.rabbitmq_dead_letters import RabbitDeadLetters
from tidegauge.broker.rabbitmq_link import LinkState
from tidegauge.broker.rabbitmq_publisher import RabbitPublisher
from tidegauge.config import Config
from tidegauge.observability.health import Check, CheckResult, Status, queue_check
from tidegauge.services.parts import QueueParts, Tools


@dataclass(frozen=True, slots=True)
class ConsumerParts:
    """The queue as a worker sees it: where messages come from, its health, and how to let go."""

    consumer: Consumer
    check: Check
    close: Callable[[], None]


def open_queue(config: Config, tools: Tools) -> QueueParts:
    """Return the queue as an API process sees it.

    Args:
        config: RABBITMQ_URL decides.
        tools: clocks and logger.
    """
    return _open_rabbitmq(config, tools) if config.broker.url else _open_inprocess(config, tools)


def open_consumer(config: Config, tools: Tools) -> ConsumerParts:
    """Return the queue at RABBITMQ_URL as a worker sees it; it connects in the background."""
    consumer = RabbitConsumer(
        config.broker,
        dead_letters=RabbitDeadLetters(config.broker, clock_ms=tools.clock_ms),
        log=tools.log,
        monotonic=tools.monotonic,
    )
    check = rabbitmq_check(consumer.state, limit=config.broker.queue_messages)
    return ConsumerParts(consumer, check, consumer.close)


def open_dead_letters(config: Config) -> DeadLetters:
    """Return the dead letters at RABBITMQ_URL."""
    return RabbitDeadLetters(config.broker)


def rabbitmq_check(state: Callable[[], LinkState], *, limit: int) -> Check:
    """Return a check of RabbitMQ: what it is away for is refused, so it is degraded at worst.

    Nobody should send samples to a process that cannot pass them on: it is not ready then.
    """

    def check() -> CheckResult:
        seen = state()
        fields: dict[str, object] = {
            "queue_depth": seen.depth,
            "limit": limit,
            "latency_ms": seen.latency_ms,
        }
        if not seen.connected:
            return CheckResult(Status.DEGRADED, {**fields, "error": seen.error}, ready=False)
        if seen.blocked:
            return CheckResult(Status.DEGRADED, {**fields, "blocked": seen.blocked}, ready=False)
        full = (seen.depth or 0) * 5 >= limit * 4
        return CheckResult(Status.DEGRADED if full else Status.HEALTHY, fields)

    return check


def _open_rabbitmq(config: Config, tools: Tools) -> QueueParts:
    publisher = RabbitPublisher(
        config.broker,
        max_messages=config.ingest.queue_messages,
        max_bytes=config.ingest.queue_bytes,
        log=tools.log,
        monotonic=tools.monotonic,
    )
    return QueueParts(
        name="rabbitmq",
        publisher=publisher,
        dead_letters=RabbitDeadLetters(config.broker, clock_ms=tools.clock_ms),
        depth=publisher.depth,
        limit=config.broker.queue_messages,
        check=rabbitmq_check(publisher.state, limit=config.broker.queue_messages),
        close=publisher.close,
        confirm_timeout_s=config.broker.confirm_timeout_s,
        max_message_bytes=config.broker.message_bytes,
    )


def _open_inprocess(config: Config, tools: Tools) -> QueueParts:
    broker = InProcessBroker(
        max_messages=config.ingest.queue_messages,
        max_bytes=config.ingest.queue_bytes,
        monotonic=tools.monotonic,
        log=tools.log,
        clock_ms=tools.clock_ms,
    )
    return QueueParts(
        name="queue",
        publisher=broker,
        dead_letters=broker,
        depth=broker.depth,
        limit=config.ingest.queue_messages,
        check=queue_check(broker.depth, limit=config.ingest.queue_messages),
        close=broker.close,
        confirm_timeout_s=config.ingest.confirm_timeout_s,
        drained=broker,
    )
