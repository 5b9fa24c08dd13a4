"""Messages as RabbitMQ carries them: the body as it is, all else in properties and headers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pika.spec import BasicProperties

from tidegauge.broker.protocol import DeadLetter, Message
from tidegauge.errors import InvalidInput

CONTENT_TYPE = "application/x-tidegauge-batch"
REASON_HEADER = "x-tidegauge-reason"
DIED_HEADER = "x-tidegauge-died-ms"
_LONGEST_REASON_CHARS = 2000
_PERSISTENT = 2
_DEATHS = {
    "expired": "expired: no worker took it in time",
    "delivery_limit": "delivered again and again: whoever takes it dies of it",
    "maxlen": "the queue was full",
    "rejected": "rejected",
}


def to_properties(message: Message, more: Mapping[str, Any] | None = None) -> BasicProperties:
    """Return the properties of a message, persistent, with more headers if given."""
    headers: dict[str, Any] = {
        "codec": message.codec,
        "count": message.count,
        "request_id": message.request_id,
    }
    if message.trace:
        headers["traceparent"] = message.trace
    return BasicProperties(
        content_type=CONTENT_TYPE,
        delivery_mode=_PERSISTENT,
        message_id=message.id.hex(),
        headers={**headers, **(more or {})},
    )


def to_message(properties: BasicProperties, body: bytes) -> Message:
    """Return the message that was published with these properties.

    Raises:
        InvalidInput: it is not one of ours.
    """
    headers = properties.headers or {}
    codec, count = headers.get("codec"), headers.get("count")
    try:
        message_id = bytes.fromhex(properties.message_id or "")
    except (ValueError, TypeError):
        # pika leaves as bytes what is not UTF-8.
        message_id = b""
    if len(message_id) != 16 or not isinstance(codec, int) or not isinstance(count, int):
        raise InvalidInput("it is not a message of Tidegauge's: id, codec or count are missing")
    return Message(
        id=message_id,
        codec=codec,
        count=count,
        request_id=str(headers.get("request_id", "")),
        body=body,
        trace=str(headers.get("traceparent", "")),
    )


def to_foreign_message(properties: BasicProperties, body: bytes) -> Message:
    """Return a message of somebody else's, as far as it fits, so that it can be handled."""
    return Message(bytes(16), -1, 0, f"foreign {properties.message_id or ''}".strip(), body)


def dead_letter_headers(reason: str, died_ms: int) -> dict[str, Any]:
    """Return the headers that say why and when a message was put aside."""
    return {REASON_HEADER: reason[:_LONGEST_REASON_CHARS], DIED_HEADER: died_ms}


def to_dead_letter(properties: BasicProperties, body: bytes) -> DeadLetter:
    """Return a dead letter with its reason: ours, or that for which the broker moved it."""
    try:
        message = to_message(properties, body)
    except InvalidInput:
        message = to_foreign_message(properties, body)
    headers = properties.headers or {}
    if REASON_HEADER in headers:
        died_ms = headers.get(DIED_HEADER)
        return DeadLetter(
            message, str(headers[REASON_HEADER]), died_ms if isinstance(died_ms, int) else 0
        )
    return _moved_by_broker(message, headers)


def _moved_by_broker(message: Message, headers: Mapping[str, Any]) -> DeadLetter:
    deaths = headers.get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else None
    if not isinstance(first, dict):
        first = {}
    reason, died = str(first.get("reason", "unknown")), first.get("time")
    died_ms = 0
    if isinstance(died, dt.datetime):
        # pika gives UTC without saying so.
        died_ms = int(died.replace(tzinfo=died.tzinfo or dt.UTC).timestamp() * 1000)
    return DeadLetter(message, _DEATHS.get(reason, reason), died_ms)
