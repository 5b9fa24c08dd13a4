"""What only the queue inside a process promises: a publisher hears what became of its message."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tidegauge.broker.errors import MessageRejected, StoppedMidway
from tidegauge.broker.inprocess import InProcessBroker
from tidegauge.errors import Unavailable

from tests.contracts.broker_kit import PATIENCE_S, Published, message, numbers, take


@pytest.fixture
def broker() -> InProcessBroker:
    return InProcessBroker(max_messages=8, max_bytes=1000)


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


def test_a_replay_that_stops_midway_says_how_many_went(broker, publish) -> None:
    waiting = [publish(number) for number in range(5)]
    for delivery in take(broker):
        broker.dead_letter(delivery, "for the test")
    waiting += [publish(number) for number in range(10, 16)]

    with pytest.raises(StoppedMidway, match="2 of 5 dead letters went, 3 did not: "):
        broker.replay(None)

    assert broker.count() == 3
