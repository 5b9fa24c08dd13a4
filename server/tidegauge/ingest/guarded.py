"""A publisher behind a circuit breaker: while nothing is confirmed, nobody is kept waiting."""

from __future__ import annotations

from tidegauge.broker.errors import QueueFull
from tidegauge.broker.protocol import Message, Publisher
from tidegauge.errors import Unavailable
from tidegauge.resilience.breaker import CircuitBreaker


class GuardedPublisher:
    """A Publisher that refuses at once while another's messages keep failing.

    Args:
        publisher: the one behind.
        breaker: with `is_publish_failure`.
    """

    def __init__(self, publisher: Publisher, breaker: CircuitBreaker) -> None:
        self._publisher, self._breaker = publisher, breaker

    def publish(self, message: Message, *, timeout_s: float) -> None:
        """Return once the message is durable.

        Raises:
            BreakerOpen: it was not tried. As the publisher behind.
        """
        self._breaker.call(lambda: self._publisher.publish(message, timeout_s=timeout_s))


def is_publish_failure(fault: BaseException) -> bool:
    """Return whether a fault says that the queue is not well; a full one is."""
    return isinstance(fault, Unavailable) and not isinstance(fault, QueueFull)
