"""The protocol through which the engine asks for samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegauge.model.frame import SeriesFrame
from tidegauge.model.matchers import Matcher


@dataclass(frozen=True, slots=True)
class SelectHints:
    """What the samples are for; a reader may use it to choose a coarser tier, and may ignore it.

    Args:
        func: the function or aggregation directly around the selector, "" for none.
        step_ms: the step of the query, 0 for an instant one.
        range_ms: the range of a range selector, 0 for an instant selector.
    """

    func: str = ""
    step_ms: int = 0
    range_ms: int = 0


class Reader(Protocol):
    """Reads samples for one query. It brings its own deadline and budget, and raises over them."""

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, hints: SelectHints
    ) -> SeriesFrame:
        """Return the samples with start_ms <= time <= end_ms of all series that match.

        Args:
            matchers: all must pass; a missing label counts as "".
        Returns:
            A frame sorted by label set; duplicates resolved, stale markers kept.
        Raises:
            LimitExceeded, DeadlineExceeded, Unavailable.
        """
        ...
