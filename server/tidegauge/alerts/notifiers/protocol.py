"""What a notifier is: it hands one notification over, or says why not."""

from __future__ import annotations

from typing import Protocol

from tidegauge.errors import TidegaugeError
from tidegauge.storage.outbox import ClaimedNotification


class NotDelivered(TidegaugeError):
    """A target did not take a notification.

    Args:
        message: what it answered, or why it was not reached; shown in the delivery log.
        permanent: whether the same would come of another attempt.
        retry_after_s: when the target wants to be asked again; None: it did not say.
    """

    code = "not_delivered"

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.permanent, self.retry_after_s = permanent, retry_after_s


class Notifier(Protocol):
    """Hands notifications of one channel type over; safe to use from many threads."""

    def describe_target(self, notification: ClaimedNotification) -> str:
        """Return whom it would tell, without any secret: what a circuit breaker is named after."""
        ...

    def send(self, notification: ClaimedNotification) -> str:
        """Tell the target, within the notifier's own deadline, and return its answer.

        Raises:
            NotDelivered: it did not take it. Any other exception counts as one more attempt.
        """
        ...
