"""What can go wrong while a tree is evaluated; the texts are Prometheus's."""

from __future__ import annotations

from tidegauge.errors import InvalidInput, QueryFailed


class EvaluationFailed(QueryFailed):
    """The query is well formed, but these data or parameters do not allow an answer."""


class DuplicateLabelSet(EvaluationFailed):
    """Two series of one vector have the same labels at the same step."""

    def __init__(self) -> None:
        super().__init__("vector cannot contain metrics with the same labelset")


class ManyMatches(EvaluationFailed):
    """A sample of a vector operation finds more partners than the matching allows."""


class TooManyPoints(EvaluationFailed):
    """A vector on the way would have more points than memory is meant to hold.

    Args:
        what: what would have them.
        series, steps: its size.
        allowed: the most points there may be.
    """

    def __init__(self, what: str, *, series: int, steps: int, allowed: int) -> None:
        self.reached, self.allowed = series * steps, allowed
        super().__init__(
            f"{what} needs {series * steps} points ({series} series at {steps} steps), at most "
            f"{allowed} are allowed; select fewer series, a shorter range or a longer step"
        )


class NestedTooDeeply(EvaluationFailed):
    """The expression has more levels than can be evaluated."""

    def __init__(self) -> None:
        super().__init__("expression is nested too deeply")


class BadDuration(InvalidInput):
    """A duration expression has no usable value in this query."""


class ConflictingInfo(EvaluationFailed):
    """The info series of info() contradict each other."""
