"""What only RabbitMQ promises: messages outlive every process, and nothing is dropped silently."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator

import pika
import pytest
from structlog.testing import capture_logs
from tidegauge.broker.errors import NotConfirmed, QueueFull, StoppedMidway
from tidegauge.broker.rabbitmq_dead_letters import RabbitDeadLetters
from tidegauge.broker.rabbitmq_publisher import RETRY_REFUSED_S, RabbitPublisher
from tidegauge.broker.rabbitmq_topology import INGEST_QUEUE
from tidegauge.config import BrokerConfig
from tidegauge.errors import ConfigError, Unavailable

from tests.contracts.broker_kit import PATIENCE_S, Published, message, numbers, take
from tests.contracts.rabbitmq_kit import RabbitBroker, delete_queues
from tests.support.rabbitmq import RabbitMQ
from tests.support.servers import free_port, wait_until

pytestmark = pytest.mark.timeout(300)

NUMBERS = itertools.count()


@pytest.fixture
def make_broker(rabbitmq: RabbitMQ) -> Iterator:
    made: list[RabbitBroker] = []

    def make(*, max_messages: int = 1000, **changes: object) -> RabbitBroker:
        url = rabbitmq.add_vhost(f"test-{next(NUMBERS)}") if changes else rabbitmq.url
        # A queue of the test's own would keep it waiting, and is killed in no test but those of it.
        own = {"settle_s": 0, **changes} if changes else {}
        made.append(RabbitBroker(url, max_messages=max_messages, **own))
        return made[-1]

    yield make
    for broker in made:
        broker.close()


@pytest.fixture
def broker(make_broker) -> RabbitBroker:
    return make_broker()


def take_all(consumer, count: int) -> list[int]:
    """Take and acknowledge until so many different messages came."""
    seen: list[int] = []
    while len(set(seen)) < count:
        deliveries = take(consumer)
        assert deliveries, f"only {sorted(set(seen))} came"
        seen += numbers(deliveries)
        consumer.acknowledge(deliveries)
    return seen


@pytest.mark.parametrize("changes", [{}, {"queue_type": "classic"}])
def test_a_confirmed_message_outlives_a_killed_broker(
    make_broker, rabbitmq: RabbitMQ, changes: dict[str, str]
) -> None:
    broker = make_broker(**changes)
    for number in range(20):
        broker.publish(message(number), timeout_s=PATIENCE_S)

    rabbitmq.kill()
    rabbitmq.start()

    assert sorted(set(take_all(broker.consumer, 20))) == list(range(20))


def test_who_publishes_while_the_broker_restarts_waits_and_is_confirmed(
    broker, rabbitmq: RabbitMQ
) -> None:
    rabbitmq.stop()
    waiting = [Published(broker, message(number), 120) for number in range(10)]
    wait_until(lambda: broker.publisher.pending() == 10, timeout_s=20, what="all wait")

    rabbitmq.start()

    assert [one.finish() for one in waiting] == [None] * 10
    assert sorted(set(take_all(broker.consumer, 10))) == list(range(10))


def test_while_the_broker_is_away_publishers_hear_so_in_time_and_none_is_kept(
    broker, rabbitmq: RabbitMQ
) -> None:
    rabbitmq.stop()
    try:
        with pytest.raises(NotConfirmed, match="did not confirm within"):
            broker.publish(message(1), timeout_s=0.2)
        wait_until(lambda: not broker.publisher.state().connected, timeout_s=20, what="it notices")
        assert broker.publisher.state().error
        assert broker.publisher.pending() == 0
        wait_until(lambda: not knows_depth(broker), timeout_s=30, what="the depth is not known")
    finally:
        rabbitmq.start()


def knows_depth(broker: RabbitBroker) -> bool:
    try:
        broker.depth()
    except Unavailable:
        return False
    return True


def test_the_buffer_for_a_broker_that_is_away_is_bounded(make_broker, rabbitmq: RabbitMQ) -> None:
    broker = make_broker(max_messages=3)
    rabbitmq.stop()
    waiting = [Published(broker, message(number), 60) for number in range(3)]
    wait_until(lambda: broker.publisher.pending() == 3, timeout_s=20, what="all wait")

    with pytest.raises(QueueFull, match="TIDEGAUGE_QUEUE_MESSAGES"):
        broker.publish(message(9), timeout_s=60)

    rabbitmq.start()
    assert [one.finish() for one in waiting] == [None] * 3


def test_at_an_alarm_messages_are_refused_at_once_and_taken_again_afterwards(
    broker, rabbitmq: RabbitMQ
) -> None:
    rabbitmq.set_alarm(True)
    try:
        # The broker says that it takes nothing when the first message comes.
        with pytest.raises(Unavailable):
            broker.publish(message(1), timeout_s=2)
        wait_until(lambda: bool(broker.publisher.state().blocked), timeout_s=20, what="blocked")
        with pytest.raises(Unavailable, match="takes no messages"):
            broker.publish(message(2), timeout_s=PATIENCE_S)
    finally:
        rabbitmq.set_alarm(False)
    wait_until(lambda: not broker.publisher.state().blocked, timeout_s=20, what="unblocked")

    broker.publish(message(3), timeout_s=PATIENCE_S)

    assert 3 in take_all(broker.consumer, 2)


def test_a_full_queue_refuses_and_drops_nothing(make_broker) -> None:
    broker = make_broker(queue_messages=5, queue_type="classic")
    confirmed = []
    for number in range(8):
        with contextlib.suppress(QueueFull):
            broker.publish(message(number), timeout_s=PATIENCE_S)
            confirmed.append(number)

    assert confirmed == [0, 1, 2, 3, 4]
    assert take_all(broker.consumer, 5) == confirmed


def test_a_message_that_nobody_takes_in_time_becomes_a_dead_letter(make_broker) -> None:
    broker = make_broker(message_ttl_s=1)

    broker.publish(message(1), timeout_s=PATIENCE_S)

    wait_until(lambda: broker.count() == 1, timeout_s=30, every_s=0.3, what="it is dead")
    (letter,) = broker.read_oldest(limit=9)
    assert letter.message == message(1)
    assert letter.reason == "expired: no worker took it in time"
    assert letter.died_ms > 1_600_000_000_000


def test_what_a_lost_consumer_held_goes_to_the_next_one(broker) -> None:
    for number in range(5):
        broker.publish(message(number), timeout_s=PATIENCE_S)
    lost = broker.add_consumer()
    held = take(lost, max_samples=5, linger_s=PATIENCE_S)
    assert len(held) == 5

    lost.close()
    other = broker.add_consumer()
    deliveries = take(other, max_samples=5, linger_s=PATIENCE_S)

    assert sorted(numbers(deliveries)) == [0, 1, 2, 3, 4]
    assert all(delivery.redelivered for delivery in deliveries)


def test_an_acknowledgement_of_a_lost_connection_settles_nothing_of_the_next(
    broker, rabbitmq: RabbitMQ
) -> None:
    broker.publish(message(1), timeout_s=PATIENCE_S)
    old = take(broker)

    rabbitmq.stop()
    rabbitmq.start()
    again = take(broker, timeout_s=60)
    broker.acknowledge(old)
    broker.requeue(again)

    (once_more,) = take(broker)
    assert numbers([once_more]) == [1]


def test_two_consumers_share_the_messages(broker) -> None:
    consumers = [broker.add_consumer(), broker.add_consumer()]
    seen: list[int] = []
    enough = threading.Event()

    def consume(consumer) -> None:
        while not enough.is_set():
            deliveries = take(consumer, timeout_s=0.1)
            seen.extend(numbers(deliveries))
            consumer.acknowledge(deliveries)

    threads = [threading.Thread(target=consume, args=(consumer,)) for consumer in consumers]
    for thread in threads:
        thread.start()
    for number in range(200):
        broker.publish(message(number), timeout_s=PATIENCE_S)
    wait_until(lambda: len(seen) >= 200, timeout_s=30, what="all were taken")
    enough.set()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert sorted(seen) == list(range(200))


def test_a_consumer_holds_no_more_than_its_prefetch(make_broker) -> None:
    broker = make_broker(prefetch=3)
    for number in range(10):
        broker.publish(message(number), timeout_s=PATIENCE_S)

    assert len(take(broker, max_samples=100, linger_s=PATIENCE_S)) == 3


def test_a_message_of_somebody_else_is_handed_out_to_be_put_aside(broker, rabbitmq) -> None:
    with contextlib.closing(
        pika.BlockingConnection(pika.URLParameters(rabbitmq.url))
    ) as connection:
        connection.channel().basic_publish("", INGEST_QUEUE, b"hello")

    (delivery,) = take(broker)
    broker.dead_letter(delivery, "not ours")

    (letter,) = broker.read_oldest(limit=9)
    assert (letter.message.body, letter.reason) == (b"hello", "not ours")


def test_a_message_whose_id_is_no_text_does_not_stop_the_consumer(broker, rabbitmq) -> None:
    with contextlib.closing(
        pika.BlockingConnection(pika.URLParameters(rabbitmq.url))
    ) as connection:
        connection.channel().basic_publish(
            "", INGEST_QUEUE, b"hello", pika.BasicProperties(message_id=b"\xff\xfe")
        )
    broker.publish(message(1), timeout_s=PATIENCE_S)

    bodies: list[bytes] = []
    while len(bodies) < 2:
        deliveries = take(broker)
        assert deliveries, f"only {bodies} came"
        bodies += [delivery.message.body for delivery in deliveries]
        broker.acknowledge(deliveries)
    assert bodies == [b"hello", b"body"]


@contextlib.contextmanager
def broker_settings(rabbitmq: RabbitMQ, **settings: int) -> Iterator[None]:
    """Give RabbitMQ's own settings other values, for channels opened meanwhile."""
    read = "{{ok, V}} = application:get_env(rabbit, {name}), V."
    before = {name: rabbitmq.ctl("eval", read.format(name=name)).strip() for name in settings}
    try:
        for name, value in settings.items():
            rabbitmq.ctl("eval", f"application:set_env(rabbit, {name}, {value}).")
        yield
    finally:
        for name, value in before.items():
            rabbitmq.ctl("eval", f"application:set_env(rabbit, {name}, {value}).")


def test_a_delivery_held_too_long_comes_again_and_no_queue_is_to_be_deleted(
    make_broker, rabbitmq: RabbitMQ
) -> None:
    broker = make_broker(prefetch=7)
    with broker_settings(rabbitmq, consumer_timeout=1000, channel_tick_interval=500):
        broker.publish(message(1), timeout_s=PATIENCE_S)
        held = take(broker)
        with capture_logs() as logs:
            (again,) = take(broker, timeout_s=100)

    assert numbers([again]) == numbers(held) == [1]
    errors = [
        entry["error"] for entry in logs if entry.get("link") == "consumer" and "error" in entry
    ]
    assert any("timed out" in error for error in errors)
    assert not any("delete" in error for error in errors)


def test_what_the_broker_refuses_is_sent_again_at_a_steady_pace(
    make_broker, rabbitmq: RabbitMQ
) -> None:
    broker = make_broker(queue_type="classic", prefetch=9)
    # A queue that refuses although it is far from its limit, as one without a leader does.
    vhost = broker.config.url.rsplit("/", 1)[1]
    limit = '{"max-length": 1, "overflow": "reject-publish"}'
    rabbitmq.ctl("set_policy", "-p", vhost, "tight", ".*ingest", limit)
    wait_until(lambda: refuses(broker), timeout_s=30, what="the limit holds")
    before, requests, timeout_s = received(rabbitmq), 50, 2.0

    waiting = [Published(broker, message(100 + n), timeout_s) for n in range(requests)]
    errors = [one.finish() for one in waiting]

    assert all(isinstance(error, NotConfirmed) for error in errors)
    assert any("although metrics.ingest is not full" in error.message for error in errors)
    rounds = timeout_s / RETRY_REFUSED_S + 2
    assert received(rabbitmq) - before <= requests * rounds


def refuses(broker: RabbitBroker) -> bool:
    try:
        broker.publish(message(1), timeout_s=0.5)
    except Unavailable:
        return True
    return False


def received(rabbitmq: RabbitMQ) -> int:
    """Return how many messages the broker was ever sent."""
    counters = "lists:sum([maps:get(messages_received_total, C, 0) || C <- maps:values("
    return int(rabbitmq.ctl("eval", f"{counters}rabbit_global_counters:overview())])."))


def test_a_queue_that_was_deleted_is_made_again(make_broker) -> None:
    broker = make_broker(prefetch=5)
    delete_queues(broker.config.url)

    broker.publish(message(1), timeout_s=PATIENCE_S)

    assert take_all(broker.consumer, 1) == [1]


def test_a_connection_on_which_nothing_is_answered_is_made_anew(rabbitmq: RabbitMQ) -> None:
    config = BrokerConfig(url=rabbitmq.add_vhost("unanswered"), settle_s=0)
    # Ten seconds of patience pass in two.
    publisher = RabbitPublisher(
        config, max_messages=9, max_bytes=1000, monotonic=lambda: time.monotonic() * 5
    )
    try:
        publisher.publish(message(1), timeout_s=PATIENCE_S)
        with capture_logs() as logs:
            # Heartbeats are another process's work, and go on.
            rabbitmq.ctl("eval", "[ok = sys:suspend(Pid) || Pid <- rabbit_channel:list()].")
            publisher.publish(message(2), timeout_s=60)
    finally:
        publisher.close()

    errors = [entry["error"] for entry in logs if "error" in entry]
    assert any("has not answered for" in error for error in errors)


def test_a_queue_with_other_properties_is_told_of_with_the_remedy(make_broker) -> None:
    broker = make_broker(queue_messages=10)
    other = RabbitDeadLetters(BrokerConfig(url=broker.config.url, dead_letter_ttl_s=5))

    with pytest.raises(Unavailable, match="other properties than the settings ask for"):
        other.count()


def test_a_replay_that_stops_midway_says_how_many_went(make_broker) -> None:
    broker = make_broker(queue_messages=2, queue_type="classic")
    for number in range(5):
        broker.letters.put(message(number), "for the test")

    with pytest.raises(StoppedMidway, match="2 of 5 dead letters went, 3 did not: "):
        broker.replay(None)

    assert broker.count() == 3
    assert take_all(broker.consumer, 2) == [0, 1]


def test_dead_letters_of_a_broker_that_is_away_are_unavailable() -> None:
    away = RabbitDeadLetters(BrokerConfig(url=f"amqp://guest:guest@127.0.0.1:{free_port()}/"))

    with pytest.raises(Unavailable):
        away.count()


def test_an_address_that_is_none_is_a_fault_of_the_settings() -> None:
    with pytest.raises(ConfigError, match="RABBITMQ_URL"):
        RabbitDeadLetters(BrokerConfig(url="amqp://host:port/"))
