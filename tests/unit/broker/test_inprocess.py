"""The in-process broker: its bounds, its dead letters, its end."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs
from tidegauge.broker.errors import MessageRejected, NotConfirmed, QueueFull
from tidegauge.broker.inprocess import DEAD_LETTERS_KEPT, InProcessBroker
from tidegauge.broker.protocol import Message
from tidegauge.errors import Unavailable

PATIENCE_S = 20.0


def message(number: int, body: bytes = b"body") -> Message:
    return Message(number.to_bytes(16, "big"), 1, 1, f"request-{number}", body)


def publish_and_leave(broker: InProcessBroker, one: Message) -> threading.Thread:
    """Publish in a thread that swallows the outcome; return once the message waits."""

    def run() -> None:
        try:
            broker.publish(one, timeout_s=PATIENCE_S)
        except (Unavailable, MessageRejected):
            return

    before = broker.depth()
    thread = threading.Thread(target=run)
    thread.start()
    while broker.depth() == before and thread.is_alive():
        pass
    return thread


def take(broker: InProcessBroker):
    return broker.take(max_samples=1, linger_s=0.0, timeout_s=PATIENCE_S)


def test_over_the_message_limit_a_publisher_is_refused_at_once_with_the_setting() -> None:
    broker = InProcessBroker(max_messages=1, max_bytes=1000)
    waiting = publish_and_leave(broker, message(1))

    with pytest.raises(QueueFull, match="TIDEGAUGE_QUEUE_MESSAGES") as caught:
        broker.publish(message(2), timeout_s=PATIENCE_S)

    assert caught.value.retry_after_s >= 1
    broker.acknowledge(take(broker))
    waiting.join(PATIENCE_S)


def test_what_is_taken_and_not_settled_counts_towards_the_limits() -> None:
    broker = InProcessBroker(max_messages=10, max_bytes=10)
    waiting = publish_and_leave(broker, message(1, b"12345678"))
    taken = take(broker)

    with pytest.raises(QueueFull, match="TIDEGAUGE_QUEUE_BYTES"):
        broker.publish(message(2, b"123"), timeout_s=PATIENCE_S)

    broker.acknowledge(taken)
    waiting.join(PATIENCE_S)
    again = publish_and_leave(broker, message(3, b"1234567890"))
    broker.acknowledge(take(broker))
    again.join(PATIENCE_S)
    assert broker.depth() == 0


def test_a_message_that_was_not_taken_in_time_is_withdrawn() -> None:
    broker = InProcessBroker(max_messages=1, max_bytes=4)

    with pytest.raises(NotConfirmed):
        broker.publish(message(1), timeout_s=0.0)

    assert broker.depth() == 0
    assert list(broker.take(max_samples=1, linger_s=0.0, timeout_s=0.0)) == []


def test_dead_letters_are_kept_with_their_reason_counted_and_logged() -> None:
    with capture_logs() as logs:
        broker = InProcessBroker(max_messages=10, max_bytes=1000)
        thread = publish_and_leave(broker, message(5))
        broker.dead_letter(take(broker)[0], "poison")
        thread.join(PATIENCE_S)

    (dead,) = broker.read_oldest(limit=100)
    assert (dead.message, dead.reason) == (message(5), "poison")
    assert broker.dead_letters_total() == 1
    assert [(log["log_level"], log["reason"], log["request_id"]) for log in logs] == [
        ("error", "poison", "request-5")
    ]


def test_only_the_last_dead_letters_are_kept() -> None:
    with capture_logs():
        broker = InProcessBroker(max_messages=10, max_bytes=1000)
        for number in range(DEAD_LETTERS_KEPT + 5):
            thread = publish_and_leave(broker, message(number))
            broker.dead_letter(take(broker)[0], "poison")
            thread.join(PATIENCE_S)

    assert broker.dead_letters_total() == DEAD_LETTERS_KEPT + 5
    assert broker.read_oldest(limit=100)[0].message == message(5)
    assert len(broker.read_oldest(limit=100)) == DEAD_LETTERS_KEPT


def test_a_closed_queue_refuses_new_messages_and_fails_those_that_wait() -> None:
    broker = InProcessBroker(max_messages=10, max_bytes=1000)
    waiting = publish_and_leave(broker, message(1))

    broker.close()

    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()
    assert broker.depth() == 0
    with pytest.raises(Unavailable):
        broker.publish(message(2), timeout_s=PATIENCE_S)
    assert list(take(broker)) == []


def test_what_was_taken_before_the_close_can_still_be_acknowledged() -> None:
    broker = InProcessBroker(max_messages=10, max_bytes=1000)
    errors: list[Exception] = []

    def run() -> None:
        try:
            broker.publish(message(1), timeout_s=PATIENCE_S)
        except Unavailable as exc:
            errors.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    taken = take(broker)
    broker.close()
    broker.acknowledge(taken)
    thread.join(PATIENCE_S)

    assert errors == []
