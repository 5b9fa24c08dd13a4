"""What became of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegauge.errors import InvalidInput
from tidegauge.ingest.errors import SHOWN_REJECTIONS, Rejection


@dataclass(frozen=True, slots=True)
class JsonOutcome:
    """What became of a JSON request.

    Args:
        accepted: points that are durable.
        rejected: points that were refused.
        errors: one for each refused point: `index`, `error`, `code`.
    """

    accepted: int
    rejected: int
    errors: Sequence[dict[str, object]]


@dataclass(frozen=True, slots=True)
class RemoteWriteOutcome:
    """What became of a remote write request.

    Args:
        accepted: samples that are durable.
        rejected: samples that were refused.
        errors: why, one for each series refused.
        exemplars_not_stored, histograms_not_stored: what came and is not stored yet.
    """

    accepted: int
    rejected: int
    errors: Sequence[Rejection]
    exemplars_not_stored: int
    histograms_not_stored: int


class SamplesRejected(InvalidInput):
    """Some samples of a remote write request were refused; all others are durable.

    Args:
        outcome: the counts and reasons.
    """

    code = "samples_rejected"

    def __init__(self, outcome: RemoteWriteOutcome) -> None:
        shown = "; ".join(one.error for one in outcome.errors[:SHOWN_REJECTIONS])
        more = len(outcome.errors) - SHOWN_REJECTIONS
        super().__init__(
            f"{outcome.rejected} samples of {len(outcome.errors)} series were refused, "
            f"{outcome.accepted} were stored: {shown}" + (f"; and {more} more" if more > 0 else "")
        )
        self.outcome = outcome


def to_json_errors(rejections: Sequence[Rejection]) -> list[dict[str, object]]:
    """Return rejections as the JSON API shows them."""
    return [{"index": one.index, "error": one.error, "code": one.code} for one in rejections]
