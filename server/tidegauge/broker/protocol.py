"""What a broker offers: publish until confirmed; take in order, and acknowledge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One request's samples on their way.

    Args:
        id: 16 bytes, given before publishing, never changed: what makes redelivery harmless.
        codec: the version of the body's encoding.
        count: how many samples are in it.
        request_id: for the logs.
        body: the encoded batch.
    """

    id: bytes
    codec: int
    count: int
    request_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as a consumer gets it; `tag` names this delivery when it is acknowledged."""

    tag: int
    message: Message
    redelivered: bool = False


class Publisher(Protocol):
    """Hands messages over."""

    def publish(self, message: Message, *, timeout_s: float) -> None:
        """Return once the message is durable (confirmed by the broker, or committed in-process).

        Raises:
            Unavailable: full, away, or not confirmed in time; it may or may not arrive, so the
                sender sends again.
            MessageRejected: it was dead-lettered; sending it again is no use.
        """
        ...


class Consumer(Protocol):
    """Takes messages in the order in which they were published."""

    def take(self, *, max_samples: int, linger_s: float, timeout_s: float) -> Sequence[Delivery]:
        """Return what has arrived: at least one message, or none after timeout_s.

        Once the first is there it waits up to linger_s, or until max_samples have gathered,
        and then takes all that has arrived.
        """
        ...

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Say that these are stored; their publishers may return."""
        ...

    def requeue(self, deliveries: Sequence[Delivery]) -> None:
        """Give these back, to be delivered again in their old order."""
        ...

    def dead_letter(self, delivery: Delivery, reason: str) -> None:
        """Put this one aside with the reason: it will never be stored as it is."""
        ...

    def give_up(self, deliveries: Sequence[Delivery], reason: str) -> None:
        """Say that storage stayed away through every retry; nothing of these is acknowledged.

        Whoever still waits for them is told Unavailable. A queue that lives in memory lets them
        go, since their senders send again; a durable one keeps them or dead-letters them.
        """
        ...

    def depth(self) -> int:
        """Return how many messages wait or are taken but not settled."""
        ...
