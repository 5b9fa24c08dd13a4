"""Brokers under test, publishers in the background, and messages."""

from __future__ import annotations

import threading

from tidegauge.broker.protocol import Message
from tidegauge.errors import InvalidInput, Unavailable

# Nothing waits so long unless a promise is broken.
PATIENCE_S = 20.0


class Published:
    """A publish in a thread of its own."""

    def __init__(self, broker, message: Message, timeout_s: float) -> None:
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(broker, message, timeout_s))
        self._thread.start()

    def _run(self, broker, message: Message, timeout_s: float) -> None:
        try:
            broker.publish(message, timeout_s=timeout_s)
        except (Unavailable, InvalidInput) as exc:
            self.error = exc

    def is_waiting(self) -> bool:
        return self._thread.is_alive()

    def finish(self) -> Exception | None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.error


def message(number: int, count: int = 1, body: bytes = b"body") -> Message:
    return Message(number.to_bytes(16, "big"), 1, count, f"request-{number}", body)


def take(broker, *, max_samples: int = 1, linger_s: float = 0.0, timeout_s: float = PATIENCE_S):
    return broker.take(max_samples=max_samples, linger_s=linger_s, timeout_s=timeout_s)


def numbers(deliveries) -> list[int]:
    return [int.from_bytes(delivery.message.id, "big") for delivery in deliveries]
