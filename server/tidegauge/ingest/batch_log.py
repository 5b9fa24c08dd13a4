"""Names the messages of a batch in log lines and spans, so that a request can be followed."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.broker.protocol import Delivery

# A batch may hold a hundred messages; the first ones are enough to find its line.
MOST_NAMED = 10


def name_messages(deliveries: Sequence[Delivery]) -> dict[str, object]:
    """Return the fields of a log line about these: how many, and the ids of the first ones."""
    first = [delivery.message for delivery in deliveries[:MOST_NAMED]]
    return {
        "messages": len(deliveries),
        "message_ids": [message.id.hex() for message in first],
        "request_ids": [message.request_id for message in first],
    }


def find_traces(deliveries: Sequence[Delivery]) -> list[str]:
    """Return the traceparents of those that were traced."""
    return [delivery.message.trace for delivery in deliveries if delivery.message.trace]
