"""Messages in RabbitMQ's properties and headers: ours come back whole, others do no harm."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from pika.spec import BasicProperties
from tidegauge.broker.protocol import Message
from tidegauge.broker.rabbitmq_messages import (
    dead_letter_headers,
    to_dead_letter,
    to_foreign_message,
    to_message,
    to_properties,
)
from tidegauge.errors import InvalidInput

MESSAGE = Message(bytes(range(16)), 1, 3, "request-1", b"\x00body", "00-aa-bb-01")


def through_the_wire(properties: BasicProperties) -> BasicProperties:
    """Encode and decode as between two processes."""
    return BasicProperties().decode(b"".join(properties.encode()))


@pytest.mark.parametrize("message", [MESSAGE, dataclasses.replace(MESSAGE, trace="")])
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    properties = through_the_wire(to_properties(message))

    assert to_message(properties, message.body) == message


def test_a_message_is_kept_on_disk() -> None:
    assert to_properties(MESSAGE).delivery_mode == 2


@pytest.mark.parametrize(
    "properties",
    [
        BasicProperties(),
        BasicProperties(message_id=MESSAGE.id.hex()),
        BasicProperties(message_id=MESSAGE.id.hex(), headers={"codec": "1", "count": 3}),
        BasicProperties(message_id="00ff", headers={"codec": 1, "count": 3}),
        BasicProperties(message_id="no hexadecimal digits", headers={"codec": 1, "count": 3}),
        BasicProperties(message_id=b"\xff\xfe", headers={"codec": 1, "count": 3}),
    ],
    ids=["empty", "no headers", "codec is text", "short id", "id is text", "id is no UTF-8"],
)
def test_what_somebody_else_sent_is_recognised_and_can_be_handled(
    properties: BasicProperties,
) -> None:
    properties = through_the_wire(properties)

    with pytest.raises(InvalidInput, match="not a message of Tidegauge's"):
        to_message(properties, b"x")
    assert to_foreign_message(properties, b"x").body == b"x"
    assert to_dead_letter(properties, b"x").message.body == b"x"


def test_a_dead_letter_says_why_and_when_it_was_put_aside() -> None:
    headers = dead_letter_headers("no such codec", 1_700_000_000_123)

    letter = to_dead_letter(through_the_wire(to_properties(MESSAGE, headers)), MESSAGE.body)

    assert letter.message == MESSAGE
    assert (letter.reason, letter.died_ms) == ("no such codec", 1_700_000_000_123)


def test_a_reason_is_cut_to_a_length_that_fits_a_header() -> None:
    headers = dead_letter_headers("x" * 100_000, 1)

    letter = to_dead_letter(through_the_wire(to_properties(MESSAGE, headers)), b"")

    assert letter.reason == "x" * 2000


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("expired", "expired: no worker took it in time"),
        ("delivery_limit", "delivered again and again: whoever takes it dies of it"),
        ("maxlen", "the queue was full"),
        ("something newer", "something newer"),
    ],
)
def test_what_the_broker_moved_is_told_of_in_words(given: str, told: str) -> None:
    died = dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    headers = {"x-death": [{"reason": given, "time": died}]}

    letter = to_dead_letter(through_the_wire(to_properties(MESSAGE, headers)), b"")

    assert letter.reason == told
    assert letter.died_ms == 1_704_164_645_000


@pytest.mark.parametrize("deaths", ["odd", [], ["odd"], [{}], [{"time": "odd"}]])
def test_a_history_in_another_form_leaves_the_reason_unknown(deaths: object) -> None:
    properties = through_the_wire(to_properties(MESSAGE, {"x-death": deaths}))

    letter = to_dead_letter(properties, b"")

    assert (letter.reason, letter.died_ms) == ("unknown", 0)
