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
        trace: W3C traceparent of the request, or "".
    """

    id: bytes
    codec: int
    count: int
    request_id: str
    body: bytes
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as a consumer gets it; `tag` names this delivery when it is acknowledged."""

    tag: int
    message: Message
    redelivered: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be stored as it is.

    Args:
        message: what was published, under its old id.
        reason: why it was put aside, for people.
        died_ms: when, Unix ms.
    """

    message: Message
    reason: str
    died_ms: int


class DeadLetters(Protocol):
    """What was put aside: to be looked at, sent again, or thrown away."""

    def count(self) -> int:
        """Return how many there are.

        Raises:
            Unavailable.
        """
        ...

    def read_oldest(self, *, limit: int) -> Sequence[DeadLetter]:
        """Return the oldest ones, oldest first, and leave them where they are.

        Raises:
            Unavailable.
        """
        ...

    def find(self, message_id: bytes) -> DeadLetter | None:
        """Return the oldest one with this id, or None.

        Raises:
            Unavailable.
        """
        ...

    def replay(self, ids: Sequence[bytes] | None) -> int:
        """Send these again under their old ids (None: all there are now); return how many went.

        One is taken away only when it is safely in the queue again.

        Raises:
            Unavailable: what did not go is still there; StoppedMidway says how much that is.
        """
        ...

    def purge(self, ids: Sequence[bytes] | None) -> int:
        """Throw these away for good (None: all there are now); return how many went.

        Raises:
            Unavailable.
        """
        ...


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
    """Takes messages in the order in which they were published.

    Attributes:
        durable: messages outlive this process, so nobody waits for their outcome, and while
            storage is away they may be held for as long as it takes.
    """

    durable: bool

    def take(self, *, max_samples: int, linger_s: float, timeout_s: float) -> Sequence[Delivery]:
        """Return what has arrived: at least one message, or none after timeout_s.

        Once the first is there it waits up to linger_s, or until max_samples have gathered,
        and then takes what has arrived; what would be too much at once is left for the next call.
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
        """Say that nothing of these will be stored now; nothing of these is acknowledged.

        A queue that lives in memory lets them go: whoever still waits for them is told
        Unavailable, and sends again. A durable one (`durable`) delivers them again, to whichever
        consumer takes them next.
        """
        ...

    def depth(self) -> int:
        """Return how many messages wait or are taken but not settled."""
        ...
