"""What goes wrong between who accepts samples and who stores them."""

from __future__ import annotations

from tidegauge.errors import InvalidInput, Unavailable


class QueueFull(Unavailable):
    """The queue holds as much as it may; nothing was taken."""

    code = "queue_full"


class NotConfirmed(Unavailable):
    """The message was not confirmed: nobody can say whether it will be stored; send it again."""

    code = "not_confirmed"


class MessageRejected(InvalidInput):
    """The message was dead-lettered; sending it again is no use."""

    code = "message_rejected"


class StoppedMidway(Unavailable):
    """Of several dead letters some went; those that did not are where they were.

    Args:
        done: how many went.
        wanted: how many were to go.
        reason: why the next one did not.
    """

    code = "stopped_midway"

    def __init__(self, *, done: int, wanted: int, reason: Unavailable) -> None:
        super().__init__(
            f"{done} of {wanted} dead letters went, {wanted - done} did not: {reason.message}",
            retry_after_s=reason.retry_after_s,
        )
