"""Warnings and infos while they are gathered: each text once, the position written at the end.

Source: promql.md §6 (NOTES); Prometheus `util/annotations`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from tidegauge.model.floats import format_go_g
from tidegauge.promql.native.notes import Note
from tidegauge.promql.nodes import Span
from tidegauge.promql.quoting import quote, to_bytes
from tidegauge.promql.value import Annotations


@dataclass(slots=True)
class Raised:
    """Where the counts of classic histograms had to be made monotonic, over many samples.

    Args:
        first_ms, last_ms: the steps between which it happened, Unix ms.
        least_bound, greatest_bound: the buckets between which it happened.
        greatest_diff: how far a count fell at most.
        samples: how many histograms it happened to.
    """

    first_ms: int
    last_ms: int
    least_bound: float
    greatest_bound: float
    greatest_diff: float
    samples: int

    def add(self, other: Raised) -> None:
        """Take another one into this."""
        self.first_ms = min(self.first_ms, other.first_ms)
        self.last_ms = max(self.last_ms, other.last_ms)
        self.least_bound = min(self.least_bound, other.least_bound)
        self.greatest_bound = max(self.greatest_bound, other.greatest_bound)
        self.greatest_diff = max(self.greatest_diff, other.greatest_diff)
        self.samples += other.samples

    def describe(self) -> str:
        """Return the words that follow the text of the info."""
        return (
            f", from buckets {format_go_g(self.least_bound)}"
            f" to {format_go_g(self.greatest_bound)},"
            f" with a max diff of {_format_short(self.greatest_diff)},"
            f" over {self.samples} samples"
            f" from {_format_time(self.first_ms)} to {_format_time(self.last_ms)}"
        )


class Notes:
    """Gathers the annotations of one query.

    Args:
        text: the query as it was written, for line and column; "" counts it as one line.
    """

    def __init__(self, text: str) -> None:
        self._text = to_bytes(text)
        self._warnings: dict[str, Span] = {}
        self._infos: dict[str, Span] = {}
        self._raised: dict[str, Raised] = {}
        self._counted: Counter[str] = Counter()

    def warn(self, text: str, span: Span) -> None:
        """Add a warning; one of several with the same text stays."""
        self._warnings.setdefault(f"PromQL warning: {text}", span)

    def inform(self, text: str, span: Span) -> None:
        """Add an info; one of several with the same text stays."""
        self._infos.setdefault(f"PromQL info: {text}", span)

    def add(self, note: Note, span: Span) -> None:
        """Add a warning or an info."""
        (self.warn if note.is_warning else self.inform)(note.text, span)
        if note.is_counted:
            self._counted[f"PromQL {'warning' if note.is_warning else 'info'}: {note.text}"] += 1

    def inform_raised(self, text: str, span: Span, raised: Raised) -> None:
        """Add an info about histogram counts; those with the same text become one."""
        self.inform(text, span)
        known = self._raised.setdefault(f"PromQL info: {text}", raised)
        if known is not raised:
            known.add(raised)

    def annotations(self) -> Annotations:
        """Return all texts with their positions, in order of appearance."""
        return Annotations(
            [self._place(text, span) for text, span in self._warnings.items()],
            [self._place(text, span) for text, span in self._infos.items()],
        )

    def _place(self, text: str, span: Span) -> str:
        raised = self._raised.get(text)
        before = self._text[: span.start]
        line = before.count(b"\n") + 1
        column = span.start - before.rfind(b"\n")
        more = raised.describe() if raised else ""
        if self._counted[text] > 1:
            more = f" ({self._counted[text]} occurrences)"
        return f"{text}{more} ({line}:{column})"


def about_metric(text: str, metric: str) -> str:
    """Return a text with the metric's name, where it has one."""
    return f"{text} for metric name {quote(metric)}" if metric else text


def invalid_quantile(q: float) -> str:
    """Return the warning about a quantile outside 0 to 1."""
    return f"quantile value should be between 0 and 1, got {format_go_g(q)}"


def _format_short(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else format_go_g(value)


def _format_time(time_ms: int) -> str:
    return datetime.fromtimestamp(int(time_ms / 1000), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
