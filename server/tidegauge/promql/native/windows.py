"""The samples of one window, some of them histograms, and what a function makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tidegauge.model.histogram import Histogram
from tidegauge.promql.native.notes import Note

Sample = float | Histogram


@dataclass(frozen=True, slots=True)
class NativeWindow:
    """The samples of one window, at least one, and its frame.

    Args:
        times_ms: Unix ms, strictly rising.
        samples: as many, without stale markers.
        start_ms, end_ms: the window's limits in the data, the start exclusive; an extended one
            has samples beyond them.
        eval_ms: the step of the query.
        params: the scalar arguments of the function at this step.
        metric: the name of the series, for notes.
        starts_ms: as many as samples, 0 where it is unknown; none: all are.
    """

    times_ms: Sequence[int]
    samples: Sequence[Sample]
    start_ms: int
    end_ms: int
    eval_ms: int
    params: Sequence[float]
    metric: str
    starts_ms: Sequence[int] = ()

    def since(self, first: int) -> NativeWindow:
        """Return the window without the samples before one of them."""
        return replace(
            self,
            times_ms=self.times_ms[first:],
            samples=self.samples[first:],
            starts_ms=self.starts_ms[first:],
        )

    @property
    def range_s(self) -> float:
        """How long the window is, in seconds."""
        return (self.end_ms - self.start_ms) / 1000

    def histograms(self) -> list[Histogram]:
        """Return its histograms."""
        return [one for one in self.samples if isinstance(one, Histogram)]

    def floats(self) -> list[tuple[int, float]]:
        """Return its floats with their times."""
        return [
            (time_ms, one)
            for time_ms, one in zip(self.times_ms, self.samples, strict=True)
            if not isinstance(one, Histogram)
        ]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function makes of a window: a sample or none, and what the user should know."""

    sample: Sample | None = None
    notes: Sequence[Note] = field(default=())
