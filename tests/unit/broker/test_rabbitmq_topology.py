"""The queues' arguments, and what people are told when the broker refuses them."""

from __future__ import annotations

from tidegauge.broker.rabbitmq_topology import (
    dead_letter_arguments,
    explain_refusal,
    ingest_arguments,
)
from tidegauge.config import BrokerConfig

MISMATCH = (
    "(406, \"PRECONDITION_FAILED - inequivalent arg '{argument}' for {what} in vhost '/': "
    "received '10' but current is '20'\")"
)
HELD_TOO_LONG = (
    "(406, 'PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. "
    "Timeout value used: 1800000 ms.')"
)


def test_a_full_queue_refuses_and_an_old_message_becomes_a_dead_letter() -> None:
    arguments = ingest_arguments(BrokerConfig(queue_messages=7, message_ttl_s=60))

    assert arguments["x-max-length"] == 7
    assert arguments["x-overflow"] == "reject-publish"
    assert arguments["x-message-ttl"] == 60_000
    assert arguments["x-dead-letter-exchange"] == "metrics.dlx"


def test_a_quorum_queue_loses_no_dead_letter_and_ends_what_kills_workers() -> None:
    arguments = ingest_arguments(BrokerConfig(queue_type="quorum"))

    assert arguments["x-dead-letter-strategy"] == "at-least-once"
    assert arguments["x-delivery-limit"] == 100


def test_a_classic_queue_is_not_asked_for_what_only_quorum_queues_have() -> None:
    config = BrokerConfig(queue_type="classic")
    given = {*ingest_arguments(config), *dead_letter_arguments(config)}

    assert given & {"x-dead-letter-strategy", "x-delivery-limit"} == set()


def test_dead_letters_end_after_their_time_and_go_nowhere_else() -> None:
    arguments = dead_letter_arguments(BrokerConfig(dead_letter_ttl_s=86400))

    assert arguments["x-message-ttl"] == 86_400_000
    assert "x-dead-letter-exchange" not in arguments


def test_a_queue_with_other_properties_is_named_with_the_remedy() -> None:
    reason = MISMATCH.format(argument="x-max-length", what="queue 'metrics.ingest'")

    told = explain_refusal(reason)

    assert told.startswith("the queue metrics.ingest exists with other properties")
    assert "let the workers empty it, delete it" in told
    assert "TIDEGAUGE_RABBITMQ_*" in told
    assert reason in told


def test_the_remedy_for_the_dead_letters_is_not_to_empty_the_other_queue() -> None:
    told = explain_refusal(MISMATCH.format(argument="x-message-ttl", what="queue 'metrics.dlq'"))

    assert told.startswith("the queue metrics.dlq exists with other properties")
    assert "replay or purge what is in it, delete it" in told
    assert "metrics.ingest" not in told


def test_an_exchange_of_another_type_is_named() -> None:
    told = explain_refusal(MISMATCH.format(argument="type", what="exchange 'metrics.dlx'"))

    assert told.startswith("the exchange metrics.dlx exists with other properties")


def test_nobody_is_told_to_delete_a_queue_because_a_delivery_was_held_too_long() -> None:
    assert explain_refusal(HELD_TOO_LONG) == HELD_TOO_LONG
