"""What there is in RabbitMQ: the queue, the dead letters, and the exchanges around them.

Source: RabbitMQ's guides on quorum queues, queue length limits, TTL and dead lettering.
"""

from __future__ import annotations

import re
from typing import Any

from tidegauge.config import BrokerConfig

INGEST_QUEUE = "metrics.ingest"
DEAD_LETTER_QUEUE = "metrics.dlq"
DEAD_LETTER_EXCHANGE = "metrics.dlx"
# Leads to the queue once that is old enough to be safe; see `rabbitmq_entrance`.
ENTRY_EXCHANGE = "metrics.entry"
NOT_FOUND = 404

# A message that kills a worker as often ends among the dead letters. Restarts of workers and of
# the broker count too, so it must be far more than these can be in a row.
INGEST_DELIVERY_LIMIT = 100
# Looking at a dead letter is a delivery, and a queue without any limit set gets a low one from
# newer brokers, behind which messages are thrown away.
DEAD_LETTER_DELIVERY_LIMIT = 1_000_000

# PRECONDITION_FAILED alone says little: a delivery held for too long and a message that is too
# large are refused with it, too, and neither is a reason to delete a queue.
_OTHER_PROPERTIES = re.compile(r"inequivalent arg '[^']*' for (queue|exchange) '([^']*)'")
OTHER_PROPERTIES = "exists with other properties"


def ingest_arguments(config: BrokerConfig) -> dict[str, Any]:
    """Return the arguments of the queue `metrics.ingest`: full means refused, old means dead."""
    arguments: dict[str, Any] = {
        "x-queue-type": config.queue_type,
        "x-max-length": config.queue_messages,
        "x-overflow": "reject-publish",
        "x-message-ttl": config.message_ttl_s * 1000,
        "x-dead-letter-exchange": DEAD_LETTER_EXCHANGE,
    }
    if config.queue_type == "quorum":
        arguments["x-dead-letter-strategy"] = "at-least-once"
        arguments["x-delivery-limit"] = INGEST_DELIVERY_LIMIT
    return arguments


def dead_letter_arguments(config: BrokerConfig) -> dict[str, Any]:
    """Return the arguments of the queue `metrics.dlq`."""
    arguments: dict[str, Any] = {
        "x-queue-type": config.queue_type,
        "x-message-ttl": config.dead_letter_ttl_s * 1000,
    }
    if config.queue_type == "quorum":
        arguments["x-delivery-limit"] = DEAD_LETTER_DELIVERY_LIMIT
    return arguments


def explain_refusal(reason: str) -> str:
    """Return what to tell people when the broker refuses something, with the remedy if known."""
    if f"no exchange '{ENTRY_EXCHANGE}'" in reason:
        return (
            f"the queue {INGEST_QUEUE} has just been made; an API server or worker opens the way "
            "into it when it is TIDEGAUGE_RABBITMQ_SETTLE_SECONDS old"
        )
    found = _OTHER_PROPERTIES.search(reason)
    if found is None:
        return reason
    kind, name = found.groups()
    emptied = {
        INGEST_QUEUE: "let the workers empty it, ",
        DEAD_LETTER_QUEUE: "replay or purge what is in it, ",
    }
    return (
        f"the {kind} {name} {OTHER_PROPERTIES} than the settings ask for ({reason}); "
        f"{emptied.get(name, '')}delete it, and it is made anew, or set TIDEGAUGE_RABBITMQ_* back"
    )
