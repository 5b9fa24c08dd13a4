"""What every broker promises, held against each implementation.

A further implementation joins by a fixture that returns an object that is Publisher, Consumer and
DeadLetters in one, and its name in the parameters of `broker`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from tidegauge.broker.inprocess import InProcessBroker

from tests.contracts.broker_kit import PATIENCE_S, Published, message, numbers, take
from tests.contracts.rabbitmq_kit import RabbitBroker
from tests.support.rabbitmq import RabbitMQ


@pytest.fixture
def inprocess() -> Iterator[InProcessBroker]:
    broker = InProcessBroker(max_messages=8, max_bytes=1000)
    yield broker
    broker.close()


@pytest.fixture
def rabbit(rabbitmq: RabbitMQ) -> Iterator[RabbitBroker]:
    broker = RabbitBroker(rabbitmq.url)
    yield broker
    broker.close()


@pytest.fixture(params=["inprocess", "rabbit"])
def broker(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


@pytest.fixture
def publish(broker) -> Iterator[Callable[..., Published]]:
    """A function that publishes in the background and returns once the message has arrived."""
    started: list[Published] = []

    def start(number: int, *, count: int = 1) -> Published:
        before = broker.depth()
        started.append(Published(broker, message(number, count), PATIENCE_S))
        while broker.depth() == before and started[-1].is_waiting():
            pass
        return started[-1]

    yield start
    broker.acknowledge(take(broker, timeout_s=0.0))
    for one in started:
        one.finish()


def test_nothing_is_taken_from_an_empty_queue(broker) -> None:
    assert list(take(broker, timeout_s=0.0)) == []


def test_a_message_arrives_as_it_was_published(broker, publish) -> None:
    published = publish(7, count=3)

    (delivery,) = take(broker)

    assert delivery.message == message(7, count=3)
    assert not delivery.redelivered
    broker.acknowledge([delivery])
    assert published.finish() is None


def test_messages_are_taken_together_in_the_order_of_publishing(broker, publish) -> None:
    for number in range(5):
        publish(number)

    deliveries = take(broker, max_samples=1)

    assert numbers(deliveries) == [0, 1, 2, 3, 4]
    broker.acknowledge(deliveries)


def test_requeued_messages_come_again_and_say_so(broker, publish) -> None:
    publish(1)
    publish(2)

    broker.requeue(take(broker, max_samples=2, linger_s=PATIENCE_S))
    again = take(broker, max_samples=2, linger_s=PATIENCE_S)

    assert sorted(numbers(again)) == [1, 2]
    assert all(delivery.redelivered for delivery in again)
    broker.acknowledge(again)


def test_a_dead_letter_is_kept_alone_with_its_reason(broker, publish) -> None:
    publish(1)
    publish(2)
    deliveries = take(broker, max_samples=2, linger_s=PATIENCE_S)

    broker.dead_letter(deliveries[0], "no such codec")
    broker.acknowledge(deliveries[1:])

    (letter,) = broker.read_oldest(limit=10)
    assert (letter.message, letter.reason) == (message(1), "no such codec")
    assert letter.died_ms > 1_600_000_000_000
    assert broker.count() == 1
    assert broker.find(message(1).id) == letter
    assert broker.find(message(2).id) is None
    assert list(take(broker, timeout_s=0.2)) == []


@pytest.fixture
def bury(broker, publish):
    """A function that makes dead letters of new messages with these numbers."""

    def run(*wanted: int) -> None:
        for number in wanted:
            publish(number)
            (delivery,) = take(broker)
            broker.dead_letter(delivery, "for the test")

    return run


def test_a_replayed_dead_letter_comes_again_under_its_old_id(broker, bury) -> None:
    bury(1, 2, 3)

    assert broker.replay([message(2).id]) == 1

    (delivery,) = take(broker)
    assert delivery.message == message(2)
    broker.acknowledge([delivery])
    assert numbers_of(broker.read_oldest(limit=10)) == [1, 3]


def test_all_dead_letters_are_replayed_or_purged_when_none_is_named(broker, bury) -> None:
    bury(1, 2)

    assert broker.replay(None) == 2
    again = take(broker, max_samples=2, linger_s=PATIENCE_S)
    assert sorted(numbers(again)) == [1, 2]
    broker.acknowledge(again)
    bury(3, 4)
    assert broker.purge(None) == 2
    assert broker.count() == 0


def test_purging_named_dead_letters_leaves_the_others(broker, bury) -> None:
    bury(1, 2, 3)

    assert broker.purge([message(1).id, message(3).id, message(9).id]) == 2

    assert numbers_of(broker.read_oldest(limit=10)) == [2]


def test_a_listing_shows_no_more_than_asked_for_and_takes_nothing_away(broker, bury) -> None:
    bury(1, 2, 3)

    for _ in range(2):
        assert len(broker.read_oldest(limit=2)) == 2
    assert broker.count() == 3


def numbers_of(letters) -> list[int]:
    return sorted(int.from_bytes(letter.message.id, "big") for letter in letters)


def test_settling_twice_is_harmless(broker, publish) -> None:
    publish(1)
    deliveries = take(broker)
    broker.acknowledge(deliveries)

    broker.acknowledge(deliveries)
    broker.requeue(deliveries)

    assert list(take(broker, timeout_s=0.2)) == []


def test_lingering_ends_when_enough_samples_have_gathered(broker, publish) -> None:
    publish(1, count=60)
    publish(2, count=60)

    deliveries = take(broker, max_samples=100, linger_s=PATIENCE_S)

    assert numbers(deliveries) == [1, 2]
    broker.acknowledge(deliveries)


def test_lingering_ends_after_its_time_with_what_there_is(broker, publish) -> None:
    publish(1, count=1)

    deliveries = take(broker, max_samples=100, linger_s=0.01)

    assert numbers(deliveries) == [1]
    broker.acknowledge(deliveries)


def test_many_publishers_are_all_confirmed_and_each_message_is_taken_once(broker) -> None:
    publishers, each, seen = 6, 30, []
    finished = threading.Event()

    def consume() -> None:
        while not finished.is_set() or broker.depth():
            deliveries = take(broker, timeout_s=0.05)
            seen.extend(numbers(deliveries))
            broker.acknowledge(deliveries)

    def run(first: int) -> None:
        for number in range(first, first + each):
            broker.publish(message(number), timeout_s=PATIENCE_S)
            confirmed.append(number)

    confirmed: list[int] = []
    threads = [threading.Thread(target=run, args=(index * each,)) for index in range(publishers)]
    consumer = threading.Thread(target=consume)
    for thread in [consumer, *threads]:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    finished.set()
    consumer.join(PATIENCE_S)

    assert sorted(confirmed) == sorted(seen) == list(range(publishers * each))
    for first in range(0, publishers * each, each):
        own = [number for number in seen if first <= number < first + each]
        assert own == sorted(own)
