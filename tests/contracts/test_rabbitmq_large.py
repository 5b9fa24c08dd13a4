"""A large request through RabbitMQ: in messages of bounded size, and whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import pytest
from tidegauge.broker.protocol import Delivery
from tidegauge.broker.rabbitmq_consumer import MOST_TAKEN_BYTES
from tidegauge.config import BrokerConfig, IngestConfig
from tidegauge.ingest.codec import decode_batch
from tidegauge.ingest.service import IngestService
from tidegauge.storage.memory import MemoryStorage

from tests.contracts.broker_kit import PATIENCE_S, message, take
from tests.contracts.rabbitmq_kit import RabbitBroker
from tests.support.rabbitmq import RabbitMQ

pytestmark = pytest.mark.timeout(300)

NOW_MS = 1_763_900_000_000
CONFIG = IngestConfig()


@pytest.fixture
def broker(rabbitmq: RabbitMQ) -> Iterator[RabbitBroker]:
    broker = RabbitBroker(rabbitmq.url)
    yield broker
    broker.close()


def make_body(size_bytes: int) -> tuple[bytes, int]:
    """Return JSON points of 500 series, all new, and how many there are."""
    points: list[bytes] = []
    for number in itertools.count():
        tags = {"host": f"host-{number % 500}", "note": "x" * (number % 250)}
        name = f"m{number % 10}"
        point = {"name": name, "value": number, "tags": tags, "timestamp": NOW_MS - number}
        points.append(msgspec.json.encode(point))
        size_bytes -= len(points[-1]) + 1
        if size_bytes < 1:
            break
    points.pop()
    return b"[" + b",".join(points) + b"]", len(points)


def take_samples(broker: RabbitBroker, count: int) -> list[Delivery]:
    """Take and acknowledge until so many samples came."""
    taken: list[Delivery] = []
    while sum(one.message.count for one in taken) < count:
        deliveries: Sequence[Delivery] = take(broker)
        assert deliveries, f"only {len(taken)} messages came"
        broker.acknowledge(deliveries)
        taken += deliveries
    return taken


def test_a_request_of_10_mib_arrives_whole_in_messages_under_the_bound(broker) -> None:
    most = BrokerConfig().message_bytes
    service = IngestService(
        publisher=broker.publisher,
        catalogue=MemoryStorage(),
        config=CONFIG,
        max_message_bytes=most,
    )
    body, count = make_body(CONFIG.max_body_bytes)

    outcome = service.ingest_json(body, "", "large", NOW_MS)

    assert (outcome.accepted, outcome.rejected) == (count, 0)
    messages = [one.message for one in take_samples(broker, count)]
    assert len(messages) > 1
    assert max(len(one.body) for one in messages) <= most
    assert len({one.id for one in messages}) == len(messages)
    batches = [decode_batch(one.body, one.codec) for one in messages]
    values = np.concatenate([batch.values for batch in batches])
    assert np.array_equal(np.sort(values), np.arange(count))
    for batch in batches:
        hosts = [dict(batch.new_series[-1 - series])["host"] for series in batch.series_ids]
        assert hosts == [f"host-{int(value) % 500}" for value in batch.values]


def test_no_more_is_taken_at_once_than_may_be_written_at_once(broker) -> None:
    body = bytes(MOST_TAKEN_BYTES // 2 - 1000)
    for number in range(3):
        broker.publish(message(number, body=body), timeout_s=PATIENCE_S)

    first = take(broker, max_samples=3, linger_s=PATIENCE_S)
    second = take(broker)

    assert (len(first), len(second)) == (2, 1)
    broker.acknowledge([*first, *second])


def test_a_message_larger_than_a_batch_is_taken_alone(broker) -> None:
    for number in range(2):
        broker.publish(message(number, body=bytes(MOST_TAKEN_BYTES + 1)), timeout_s=PATIENCE_S)

    taken = take(broker, max_samples=2, linger_s=PATIENCE_S)

    assert len(taken) == 1
    broker.acknowledge(taken)
