"""The writer over a durable queue: nothing is let go, and nothing blocks the queue for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tidegauge.broker.errors import MessageRejected
from tidegauge.errors import Unavailable
from tidegauge.ingest.writer import BatchWriter
from tidegauge.storage.faults import DatabaseFault

from tests.unit.ingest.fragile import (
    DurableQueue,
    FragileStorage,
    Publishing,
    make_message,
)

UP = (("__name__", "up"),)
UNLUCKY = (("__name__", "unlucky"),)


@pytest.fixture
def broker() -> Iterator[DurableQueue]:
    broker = DurableQueue(max_messages=1000, max_bytes=10**7)
    yield broker
    broker.close()


@pytest.fixture
def writer(broker: DurableQueue, storage: FragileStorage) -> BatchWriter:
    return BatchWriter(consumer=broker, catalogue=storage, engine=storage, clock_ms=lambda: 5000)


def refuse_unlucky(storage: FragileStorage, error: Exception) -> None:
    """Let every registration fail that has the unlucky series in it."""
    register = storage.register_series

    def run(label_sets):
        if UNLUCKY in label_sets:
            raise error
        return register(label_sets)

    storage.register_series = run


def publish_with_unlucky_third(broker: DurableQueue) -> list[Publishing]:
    return [
        Publishing(broker, make_message(number, UNLUCKY if number == 2 else UP, [(number, 1.0)]))
        for number in range(5)
    ]


def test_while_the_database_stays_away_messages_are_held_and_then_stored(
    writer, broker, storage
) -> None:
    storage.failures["append"] = 30
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)]))
    waits: list[float] = []

    writer.write_once(0.0, wait=lambda seconds: bool(waits.append(seconds)))

    assert publishing.outcome() is None
    assert waits[:5] == [1.0, 2.0, 4.0, 4.0, 4.0]
    assert len(waits) == 30
    assert storage.samples() == {UP: [(10, 1.0)]}


def test_a_stop_while_the_database_is_away_gives_the_messages_back(writer, broker, storage) -> None:
    storage.failures["append"] = 1
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)]))

    writer.write_once(0.0, wait=lambda _seconds: True)

    (delivery,) = broker.take(max_samples=1, linger_s=0.0, timeout_s=0.0)
    assert delivery.redelivered
    broker.acknowledge([delivery])
    assert publishing.outcome() is None


def test_what_the_database_refuses_for_an_unknown_reason_is_put_aside_alone_after_the_retries(
    writer, broker, storage
) -> None:
    refuse_unlucky(storage, DatabaseFault("the database failed: nobody knows why"))
    publishings = publish_with_unlucky_third(broker)
    waits: list[float] = []

    writer.write_once(0.0, wait=lambda seconds: bool(waits.append(seconds)))

    outcomes = [type(one.outcome()) for one in publishings]
    assert outcomes == [type(None), type(None), MessageRejected, type(None), type(None)]
    assert waits == [1.0, 2.0, 4.0]
    assert storage.samples() == {UP: [(0, 1.0), (1, 1.0), (3, 1.0), (4, 1.0)]}


def test_a_message_that_fails_the_writer_itself_is_found_and_put_aside_alone(
    writer, broker, storage
) -> None:
    refuse_unlucky(storage, ZeroDivisionError("unforeseen"))
    publishings = publish_with_unlucky_third(broker)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            writer.write_once(0.0)
    writer.write_once(0.0)

    outcomes = [type(one.outcome()) for one in publishings]
    assert outcomes == [type(None), type(None), MessageRejected, type(None), type(None)]
    assert storage.samples() == {UP: [(0, 1.0), (1, 1.0), (3, 1.0), (4, 1.0)]}


def test_a_stop_leaves_what_was_not_taken_in_the_queue(writer, broker, storage) -> None:
    publishing = Publishing(broker, make_message(1, UP, [(10, 1.0)]))
    stop = threading.Event()
    stop.set()

    writer.run(stop)

    assert broker.depth() == 1
    assert storage.samples() == {}
    broker.close()
    assert isinstance(publishing.outcome(), Unavailable)
