"""What every broker promises, held against each implementation.

A further implementation joins by a fixture that returns an object that is both Publisher and
Consumer, and its name in the parameters of `broker`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from tidegauge.broker.errors import MessageRejected
from tidegauge.broker.inprocess import InProcessBroker
from tidegauge.broker.protocol import Message
from tidegauge.errors import InvalidInput, Unavailable

# Nothing waits so long unless a promise is broken.
PATIENCE_S = 20.0


@pytest.fixture
def inprocess() -> InProcessBroker:
    return InProcessBroker(max_messages=8, max_bytes=1000)


@pytest.fixture(params=["inprocess"])
def broker(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


class Published:
    """A publish in a thread of its own."""

    def __init__(self, broker, message: Message, timeout_s: float) -> None:
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(broker, message, timeout_s))
        self._thread.start()

    def _run(self, broker, message: Message, timeout_s: float) -> None:
        try:
            broker.publish(message, timeout_s=timeout_s)
        except (Unavailable, InvalidInput) as exc:
            self.error = exc

    def is_waiting(self) -> bool:
        return self._thread.is_alive()

    def finish(self) -> Exception | None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.error


@pytest.fixture
def publish(broker) -> Iterator[Callable[..., Published]]:
    """A function that publishes in the background and returns once the message has arrived."""
    started: list[Published] = []

    def start(number: int, *, count: int = 1, timeout_s: float = PATIENCE_S) -> Published:
        before = broker.depth()
        started.append(Published(broker, message(number, count), timeout_s))
        while broker.depth() == before and started[-1].is_waiting():
            pass
        return started[-1]

    yield start
    broker.give_up(take(broker, timeout_s=0.0), "the test is over")
    for one in started:
        one.finish()


def message(number: int, count: int = 1, body: bytes = b"body") -> Message:
    return Message(number.to_bytes(16, "big"), 1, count, f"request-{number}", body)


def take(broker, *, max_samples: int = 1, linger_s: float = 0.0, timeout_s: float = PATIENCE_S):
    return broker.take(max_samples=max_samples, linger_s=linger_s, timeout_s=timeout_s)


def numbers(deliveries) -> list[int]:
    return [int.from_bytes(delivery.message.id, "big") for delivery in deliveries]


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


def test_a_publisher_returns_only_after_the_acknowledgement(broker, publish) -> None:
    published = publish(1)
    deliveries = take(broker)

    assert published.is_waiting()
    broker.acknowledge(deliveries)
    assert published.finish() is None


def test_acknowledging_one_leaves_the_other_waiting(broker, publish) -> None:
    first, second = publish(1), publish(2)
    deliveries = take(broker)

    broker.acknowledge(deliveries[:1])

    assert first.finish() is None
    assert second.is_waiting()
    broker.acknowledge(deliveries[1:])
    assert second.finish() is None


def test_requeued_messages_come_again_before_later_ones_and_say_so(broker, publish) -> None:
    publish(1)
    publish(2)
    taken = take(broker)
    publish(3)

    broker.requeue(taken)
    again = take(broker)

    assert numbers(again) == [1, 2, 3]
    assert [delivery.redelivered for delivery in again] == [True, True, False]
    broker.acknowledge(again)


def test_a_dead_lettered_message_is_rejected_with_its_reason_and_alone(broker, publish) -> None:
    poisonous, harmless = publish(1), publish(2)
    deliveries = take(broker)

    broker.dead_letter(deliveries[0], "no such codec")
    broker.acknowledge(deliveries[1:])

    error = poisonous.finish()
    assert isinstance(error, MessageRejected)
    assert "no such codec" in error.message
    assert harmless.finish() is None
    assert list(take(broker, timeout_s=0.0)) == []


def test_a_message_that_is_given_up_is_unavailable_never_acknowledged(broker, publish) -> None:
    published = publish(1)

    broker.give_up(take(broker), "the database is away")

    error = published.finish()
    assert isinstance(error, Unavailable)
    assert "the database is away" in error.message


def test_an_unconfirmed_message_is_unavailable_after_its_timeout(broker, publish) -> None:
    published = publish(1, timeout_s=0.01)

    assert isinstance(published.finish(), Unavailable)


def test_depth_counts_what_waits_and_what_is_taken_until_it_is_settled(broker, publish) -> None:
    publish(1)
    publish(2)
    assert broker.depth() == 2

    deliveries = take(broker)
    assert broker.depth() == 2

    broker.acknowledge(deliveries)
    assert broker.depth() == 0


def test_settling_twice_is_harmless(broker, publish) -> None:
    publish(1)
    deliveries = take(broker)
    broker.acknowledge(deliveries)

    broker.acknowledge(deliveries)
    broker.requeue(deliveries)
    broker.dead_letter(deliveries[0], "late")

    assert broker.depth() == 0
    assert list(take(broker, timeout_s=0.0)) == []


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
