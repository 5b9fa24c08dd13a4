"""What storage offers to the rooms above it: a catalogue of series, and a sample engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tidegauge.model.annotations import Annotation, AnnotationQuery
from tidegauge.model.batch import MetricMetadata
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.labels import Labels
from tidegauge.model.matchers import Matcher
from tidegauge.storage.accounts_rows import AuditEntry
from tidegauge.storage.cancellation import Cancellation
from tidegauge.storage.dashboard_rows import Seen


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """A series as samples refer to it: its id and its metric's id."""

    series_id: int
    metric_id: int


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """Samples with every series registered: what an engine appends.

    Args:
        message_ids: the 16-byte ids of the messages they came in.
        message_index: int32, shape (n,): the position in message_ids each sample belongs to;
            rising, since messages are taken in order of arrival.
        series_ids, metric_ids: int32, shape (n,).
        times_ms: int64, shape (n,).
        values: float64, shape (n,).
    """

    message_ids: Sequence[bytes]
    message_index: np.ndarray
    series_ids: np.ndarray
    metric_ids: np.ndarray
    times_ms: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, slots=True)
class ReadBudget:
    """What one read may cost.

    Args:
        max_samples: more raises LimitExceeded.
        deadline_s: on the monotonic clock (time.monotonic()); past it the statement is
            cancelled in the database and DeadlineExceeded raised.
        max_series: more raises LimitExceeded, before their labels are held.
        cancellation: ends the read from another thread, which raises Cancelled; None: nobody can.
    """

    max_samples: int
    deadline_s: float
    max_series: int = 100_000
    cancellation: Cancellation | None = None


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric's definition, for listings."""

    id: int
    name: str
    type: str
    unit: str
    description: str
    series: int
    last_seen_ms: int | None


@dataclass(frozen=True, slots=True)
class MetricCardinality:
    """How many series a metric has, and the tag key with the most distinct values."""

    series: int
    widest_key: str
    widest_key_values: int


@dataclass(frozen=True, slots=True)
class StorageTotals:
    """How much there is: series, metrics, and bytes on disk (0 where nobody can say)."""

    series: int
    metrics: int
    bytes: int


class SampleEngine(Protocol):
    """Holds samples. `append` is durable when it returns.

    Rollup, compaction and expiry join this protocol with the engines that do them.
    """

    def append(self, batch: StoredBatch) -> Sequence[bytes]:
        """Store the samples of the messages not stored before, in one transaction.

        Returns:
            The ids of the messages that were new; the others' samples were left out.
        Raises:
            Unavailable: the database is away; nothing was stored, or nobody can say: send again.
            InvalidInput: the database refuses the data itself; sending it again is no use.
        """
        ...

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, budget: ReadBudget
    ) -> SeriesFrame:
        """Return the samples with start_ms <= time <= end_ms of all series that match.

        The last write to arrive wins where series and time are equal. Sorted by label set.
        Raises:
            LimitExceeded, DeadlineExceeded, Unavailable.
        """
        ...


class Catalogue(Protocol):
    """Knows metrics and series. Every listing takes a budget and raises over it."""

    def find_series(self, label_sets: Sequence[Labels]) -> dict[Labels, SeriesKey]:
        """Return the ids of those label sets that are registered."""
        ...

    def register_series(self, label_sets: Sequence[Labels]) -> dict[Labels, SeriesKey]:
        """Return the ids of all these label sets, registering the new ones (and their metrics)."""
        ...

    def touch_series(self, series_ids: np.ndarray, seen_ms: int) -> None:
        """Note that these series (int32, shape (n,)) were written at about seen_ms."""
        ...

    def store_metadata(self, metadata: Sequence[MetricMetadata]) -> None:
        """Keep type, unit and help of metrics; an empty field leaves what is known."""
        ...

    def read_cardinality(self, names: Sequence[str]) -> dict[str, MetricCardinality]:
        """Return the cardinality of each of these metrics; a metric without series has zero."""
        ...

    def read_series_count(self) -> int:
        """Return how many series there are in all (an estimate within a few per cent will do)."""
        ...

    def read_totals(self) -> StorageTotals:
        """Return how much there is, for people: nothing is decided by it.

        Raises:
            Unavailable.
        """
        ...

    def list_series(
        self,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        end_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[Labels]:
        """Return the sorted label sets that match any selector and were written since start_ms.

        Args:
            selectors: none means all series.
            limit: at most so many; 0 means no limit.
        """
        ...

    def list_label_names(
        self,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        end_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[str]:
        """Return the sorted label names of such series."""
        ...

    def list_label_values(
        self,
        name: str,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        end_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[str]:
        """Return the sorted values of one label among such series."""
        ...

    def list_metrics(
        self, *, search: str, after: str, limit: int, budget: ReadBudget
    ) -> list[MetricRow]:
        """Return metrics sorted by name, from the first behind `after`; `search` is a substring."""
        ...

    def read_metadata(self, metric: str, limit: int) -> Mapping[str, MetricMetadata]:
        """Return what is known of metrics by name; `metric` "" means all, limit 0 no limit."""
        ...


class AnnotationStore(Protocol):
    """Keeps annotations. Every call raises Unavailable when the database is away."""

    def add(self, annotation: Annotation) -> Annotation:
        """Store one and return it with its id; ids are never given twice."""
        ...

    def read_page(self, asked: AnnotationQuery, seen: Seen) -> list[Annotation]:
        """Return what is asked for, newest first; of one time, the higher id first.

        Args:
            seen: what is tied to a dashboard that may not be seen is left out, unless it is theirs.
        """
        ...

    def find(self, ids: Sequence[int], seen: Seen) -> list[Annotation]:
        """Return those of these ids (from 1 to 2^31 - 1) that there are, by id.

        Args:
            seen: as of `read_page`.
        """
        ...

    def delete(self, ids: Sequence[int], audit: Sequence[AuditEntry]) -> None:
        """Delete these; those that are gone already are no fault.

        Args:
            audit: what the log of changes says of it.
        """
        ...
