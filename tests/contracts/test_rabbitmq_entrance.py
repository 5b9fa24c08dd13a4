"""A queue takes messages once RabbitMQ, killed at once, would find it again; and not before."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator

import pika
import pytest
from structlog.testing import capture_logs
from tidegauge.broker.errors import NotConfirmed
from tidegauge.broker.rabbitmq_consumer import RabbitConsumer
from tidegauge.broker.rabbitmq_dead_letters import RabbitDeadLetters
from tidegauge.broker.rabbitmq_publisher import RabbitPublisher
from tidegauge.broker.rabbitmq_topology import ENTRY_EXCHANGE, INGEST_QUEUE, ingest_arguments
from tidegauge.config import BrokerConfig
from tidegauge.errors import Unavailable

from tests.contracts.broker_kit import PATIENCE_S, Published, message, numbers, take
from tests.support.rabbitmq import RabbitMQ
from tests.support.servers import wait_until

pytestmark = pytest.mark.timeout(300)

NEVER_S = 600
NUMBERS = itertools.count()
MakePublisher = Callable[..., RabbitPublisher]


@pytest.fixture
def make_url(rabbitmq: RabbitMQ) -> Callable[[], str]:
    """A function that makes a virtual host without any queue."""
    return lambda: rabbitmq.add_vhost(f"entrance-{next(NUMBERS)}")


@pytest.fixture
def url(make_url: Callable[[], str]) -> str:
    return make_url()


@pytest.fixture
def make_publisher() -> Iterator[MakePublisher]:
    made: list[RabbitPublisher] = []

    def make(url: str, **changes: object) -> RabbitPublisher:
        config = BrokerConfig(url=url, **changes)
        made.append(RabbitPublisher(config, max_messages=9, max_bytes=10**6))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()


@contextlib.contextmanager
def channel_of(url: str) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        yield connection.channel()


def replace_queue(url: str) -> None:
    """Delete the queue and make it anew, as somebody and a worker may."""
    with channel_of(url) as channel:
        channel.queue_delete(INGEST_QUEUE)
        arguments = ingest_arguments(BrokerConfig(url=url))
        channel.queue_declare(INGEST_QUEUE, durable=True, arguments=arguments)


def messages_in(url: str) -> int:
    with channel_of(url) as channel:
        return channel.queue_declare(INGEST_QUEUE, passive=True).method.message_count


def is_closed(publisher: RabbitPublisher) -> bool:
    state = publisher.state()
    return state.connected and "has just been made" in state.blocked


def is_open(publisher: RabbitPublisher) -> bool:
    state = publisher.state()
    return state.connected and not state.blocked


def wait_closed(publisher: RabbitPublisher) -> None:
    wait_until(lambda: is_closed(publisher), timeout_s=30, what="the new queue is noticed")


def wait_open(publisher: RabbitPublisher) -> None:
    wait_until(lambda: is_open(publisher), timeout_s=60, what="the queue takes messages")


def take_numbers(url: str) -> list[int]:
    config = BrokerConfig(url=url)
    consumer = RabbitConsumer(config, dead_letters=RabbitDeadLetters(config))
    try:
        return numbers(take(consumer))
    finally:
        consumer.close()


def test_the_first_message_of_a_new_queue_outlives_a_broker_killed_at_once(
    make_publisher, make_url, rabbitmq: RabbitMQ
) -> None:
    before = [make_url() for _ in range(2)]
    publishers = [make_publisher(url) for url in before]
    for publisher in publishers:
        wait_closed(publisher)
    # What is killed when it is new is as new again, however long ago it was declared.
    rabbitmq.kill()
    rabbitmq.start()
    urls = [*before, *(make_url() for _ in range(3))]
    publishers += [make_publisher(url) for url in urls[2:]]
    for publisher in publishers:
        wait_open(publisher)
    confirmed = {url for url, one in zip(urls, publishers, strict=True) if confirms(one)}
    rabbitmq.kill()
    rabbitmq.start()

    # RabbitMQ may come back with a queue of before that it cannot use: that confirms nothing.
    assert confirmed >= set(urls[2:])
    assert {url: take_numbers(url) for url in confirmed} == {url: [1] for url in confirmed}


def confirms(publisher: RabbitPublisher) -> bool:
    try:
        publisher.publish(message(1), timeout_s=2)
    except NotConfirmed:
        return False
    return True


def test_a_new_queue_refuses_messages_and_says_when_to_come_again(make_publisher, url) -> None:
    publisher = make_publisher(url, settle_s=NEVER_S)
    # Also who came before the connection was there is not kept waiting.
    first = Published(publisher, message(1), PATIENCE_S).finish()
    wait_closed(publisher)

    with pytest.raises(Unavailable, match="TIDEGAUGE_RABBITMQ_SETTLE_SECONDS") as refusal:
        publisher.publish(message(2), timeout_s=PATIENCE_S)

    assert refusal.value.retry_after_s
    assert isinstance(first, Unavailable)
    assert "has just been made" in first.message
    assert (messages_in(url), publisher.pending()) == (0, 0)


def test_a_classic_queue_takes_messages_at_once(make_publisher, url) -> None:
    publisher = make_publisher(url, settle_s=NEVER_S, queue_type="classic")

    publisher.publish(message(1), timeout_s=PATIENCE_S)

    assert messages_in(url) == 1


def test_who_comes_later_finds_the_way_open_and_waits_for_nothing(make_publisher, url) -> None:
    wait_open(make_publisher(url, settle_s=0))

    make_publisher(url, settle_s=NEVER_S).publish(message(1), timeout_s=PATIENCE_S)

    assert messages_in(url) == 1


def test_a_queue_made_anew_behind_a_publisher_gets_nothing_from_it(make_publisher, url) -> None:
    wait_open(make_publisher(url, settle_s=0))
    publisher = make_publisher(url, settle_s=NEVER_S)
    publisher.publish(message(1), timeout_s=PATIENCE_S)
    replace_queue(url)

    with pytest.raises(Unavailable, match="has just been made"):
        publisher.publish(message(2), timeout_s=PATIENCE_S)

    assert messages_in(url) == 0


def test_a_queue_made_anew_while_it_is_watched_is_watched_anew(make_publisher, url) -> None:
    with capture_logs() as logs:
        publisher = make_publisher(url, settle_s=2)
        wait_closed(publisher)
        replace_queue(url)
        wait_open(publisher)

    errors = [entry["error"] for entry in logs if "error" in entry]
    assert any("NOT_FOUND" in error for error in errors)


def test_a_way_that_leads_nowhere_is_made_anew(make_publisher, url) -> None:
    with channel_of(url) as channel:
        channel.exchange_declare(ENTRY_EXCHANGE, "fanout", durable=True, auto_delete=True)
    publisher = make_publisher(url, settle_s=0)

    with pytest.raises(Unavailable, match="leads nowhere"):
        publisher.publish(message(1), timeout_s=PATIENCE_S)
    publisher.publish(message(2), timeout_s=PATIENCE_S)

    assert take_numbers(url) == [2]


def test_dead_letters_are_not_sent_into_a_queue_that_is_too_new(make_publisher, url) -> None:
    letters = RabbitDeadLetters(BrokerConfig(url=url))
    wait_closed(make_publisher(url, settle_s=NEVER_S))
    letters.put(message(1), "for the test")

    with pytest.raises(Unavailable, match="has just been made"):
        letters.replay(None)

    assert letters.count() == 1
