"""The error families: what went wrong, with a stable code that survives rewording.

A room adds subclasses beside the code that raises them. The HTTP status belongs to
`web/errors.py` alone; here is only what happened. The message says what was wrong, where,
the value, and, for a limit, the setting that changes it.
"""

from __future__ import annotations


class TidegaugeError(Exception):
    """Anything Tidegauge raises on purpose."""

    code = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(TidegaugeError):
    """The settings hold faults; the message lists all of them."""

    code = "config"


class InvalidInput(TidegaugeError):
    """What was sent is wrong and stays wrong when sent again."""

    code = "bad_data"


class PayloadTooLarge(InvalidInput):
    """The body, or what it unpacks to, is over its limit."""

    code = "too_large"


class NotFound(TidegaugeError):
    """The thing named does not exist."""

    code = "not_found"


class Forbidden(TidegaugeError):
    """Who asks is known, and may not do this; what may not even be seen is NotFound."""

    code = "forbidden"


class Conflict(TidegaugeError):
    """What is wanted does not go together with what is there."""

    code = "conflict"


class QueryFailed(TidegaugeError):
    """A well-formed query that cannot be answered with this data."""

    code = "execution"


class LimitExceeded(QueryFailed):
    """A query went over a limit.

    Args:
        limit: what is limited, in words ("samples").
        reached: the value that was reached.
        allowed: the limit in force.
        setting: the environment variable that changes it.
    """

    code = "limit"

    def __init__(self, limit: str, *, reached: int, allowed: int, setting: str) -> None:
        super().__init__(
            f"query needs {reached} {limit}, the limit is {allowed}; narrow it, or raise {setting}"
        )
        self.limit, self.reached, self.allowed, self.setting = limit, reached, allowed, setting


class DeadlineExceeded(TidegaugeError):
    """The work took longer than its deadline and was cancelled."""

    code = "timeout"


class Cancelled(TidegaugeError):
    """Somebody asked for the end of the work."""

    code = "canceled"


class Unavailable(TidegaugeError):
    """A neighbour (database, broker) is away or full; the same call may succeed later.

    Args:
        message: what is away.
        retry_after_s: when to come back.
    """

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
