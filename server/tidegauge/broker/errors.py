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
