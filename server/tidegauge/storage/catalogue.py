"""The catalogue in PostgreSQL: metrics and series, found, added and listed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tidegauge.model.batch import MetricMetadata
from tidegauge.model.labels import Labels
from tidegauge.model.matchers import Matcher
from tidegauge.storage.catalogue_labels import LabelListings
from tidegauge.storage.catalogue_metrics import MetricCatalogue
from tidegauge.storage.catalogue_registry import SeriesRegistry
from tidegauge.storage.catalogue_selection import Selector
from tidegauge.storage.metric_names import MetricNames
from tidegauge.storage.pool import Pool
from tidegauge.storage.protocol import (
    MetricCardinality,
    MetricRow,
    ReadBudget,
    SeriesKey,
    StorageTotals,
)


class PostgresCatalogue:
    """The Catalogue protocol over the tables `metric_definitions` and `series`.

    What it remembers in memory is bounded, and never older than the last commit.

    Args:
        pool: connections.
        clock_ms: the time at which series are registered, Unix ms.
        monotonic: the clock of deadlines, in seconds.
    """

    def __init__(
        self,
        *,
        pool: Pool,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.selector = Selector(names=MetricNames(), monotonic=monotonic)
        self._registry = SeriesRegistry(pool=pool, clock_ms=clock_ms)
        self._labels = LabelListings(pool=pool, selector=self.selector, monotonic=monotonic)
        self._metrics = MetricCatalogue(pool=pool)

    def find_series(self, label_sets: Sequence[Labels]) -> dict[Labels, SeriesKey]:
        """Return the ids of those label sets that are registered."""
        return self._registry.find(label_sets)

    def register_series(self, label_sets: Sequence[Labels]) -> dict[Labels, SeriesKey]:
        """Return the ids of all these label sets, registering the new ones (and their metrics)."""
        return self._registry.register(label_sets)

    def touch_series(self, series_ids: np.ndarray, seen_ms: int) -> None:
        """Note that these series (int32, shape (n,)) were written at about seen_ms."""
        self._registry.touch(series_ids, seen_ms)

    def store_metadata(self, metadata: Sequence[MetricMetadata]) -> None:
        """Keep type, unit and help of metrics; an empty field leaves what is known."""
        self._metrics.store(metadata)

    def read_cardinality(self, names: Sequence[str]) -> dict[str, MetricCardinality]:
        """Return the cardinality of each of these metrics; a metric without series has zero."""
        return self._metrics.cardinality(names)

    def read_series_count(self) -> int:
        """Return how many series there are in all."""
        return self._metrics.series_count()

    def read_totals(self) -> StorageTotals:
        """Return how many series and metrics there are, and the size of the database."""
        return self._metrics.totals()

    def list_series(
        self,
        selectors: Sequence[Sequence[Matcher]],
        start_ms: int | None,
        end_ms: int | None,
        *,
        limit: int,
        budget: ReadBudget,
    ) -> list[Labels]:
        """Return the sorted label sets that match any selector.

        The time filter is coarse: a series counts as written in the range when it was last
        written at most an hour before start_ms, or later; end_ms is not looked at.
        """
        return self._labels.series(selectors, start_ms, limit=limit, budget=budget)

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
        return self._labels.names(selectors, start_ms, limit=limit, budget=budget)

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
        return self._labels.values(name, selectors, start_ms, limit=limit, budget=budget)

    def list_metrics(
        self, *, search: str, after: str, limit: int, budget: ReadBudget
    ) -> list[MetricRow]:
        """Return metrics sorted by name, from the first behind `after`; `search` is a substring."""
        return self._metrics.page(search=search, after=after, limit=limit, budget=budget)

    def read_metadata(self, metric: str, limit: int) -> Mapping[str, MetricMetadata]:
        """Return what is known of metrics by name; `metric` "" means all, limit 0 no limit."""
        return self._metrics.metadata(metric, limit)
