"""What there is: series, label names and values, metrics and their metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tidegauge.config import QueryConfig
from tidegauge.errors import LimitExceeded, NotFound
from tidegauge.model.batch import MetricMetadata
from tidegauge.model.labels import METRIC_NAME, Labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.query.admission import Admission
from tidegauge.query.limits import SERIES_SETTING, Deadline
from tidegauge.query.parsing import QueryParser
from tidegauge.storage.protocol import Catalogue, MetricRow, ReadBudget

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """The items, and whether more were cut off at the limit."""

    items: list[T]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """Which series a listing looks at.

    Args:
        selectors: the text of each `match[]`; none means all series.
        start_ms, end_ms: only series written in this range; None where it is open.
        limit: at most so many items; 0 for no limit.
        timeout_ms: a shorter time limit; None for the configured one.
    """

    selectors: Sequence[str] = ()
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int = 0
    timeout_ms: int | None = None


class Listings:
    """Answers what series, labels and metrics there are.

    Args:
        catalogue: knows them.
        parser: reads selectors.
        admission: deadlines, places and measurements, shared with the queries.
        config: the limits.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        parser: QueryParser,
        admission: Admission,
        config: QueryConfig,
    ) -> None:
        self._catalogue, self._parser = catalogue, parser
        self._admission, self._config = admission, config

    def series(self, scope: Scope) -> Listing[Labels]:
        """Return the sorted label sets of the series in scope.

        Raises:
            QuerySyntaxError, InvalidInput, LimitExceeded, DeadlineExceeded, Unavailable.
        """
        cap = self._config.max_series
        bounded = 0 < scope.limit <= cap
        selectors = self._parser.parse_selectors(scope.selectors)
        found = self._ask(
            "series",
            scope,
            lambda budget: self._catalogue.list_series(
                selectors,
                scope.start_ms,
                scope.end_ms,
                limit=(scope.limit if bounded else cap) + 1,
                budget=budget,
            ),
        )
        if not bounded and len(found) > cap:
            raise LimitExceeded("series", reached=len(found), allowed=cap, setting=SERIES_SETTING)
        return _cut(found, scope.limit)

    def label_names(self, scope: Scope) -> Listing[str]:
        """Return the sorted label names of the series in scope.

        Raises:
            As `series`.
        """
        selectors = self._parser.parse_selectors(scope.selectors)
        return self._label_names(selectors, scope)

    def label_values(self, name: str, scope: Scope) -> Listing[str]:
        """Return the sorted values of one label among the series in scope.

        Raises:
            As `series`.
        """
        selectors = self._parser.parse_selectors(scope.selectors)
        return self._label_values(name, selectors, scope)

    def metrics(self, *, search: str, after: str, limit: int) -> Listing[MetricRow]:
        """Return the definitions of metrics whose name contains `search`, from behind `after`.

        Args:
            limit: at least 1.
        Raises:
            DeadlineExceeded, Unavailable.
        """
        found = self._ask(
            "metrics",
            Scope(),
            lambda budget: self._catalogue.list_metrics(
                search=search, after=after, limit=limit + 1, budget=budget
            ),
        )
        return _cut(found, limit)

    def metadata(self, *, metric: str, limit: int) -> Mapping[str, MetricMetadata]:
        """Return type, unit and help by metric name; `metric` "" means all, limit 0 no limit."""
        return self._ask(
            "metadata", Scope(), lambda _budget: self._catalogue.read_metadata(metric, limit)
        )

    def tag_values(
        self, metric: str, *, key: str, selectors: Sequence[str], limit: int
    ) -> dict[str, Listing[str]]:
        """Return the values of each tag key of a metric, or of the one key.

        Args:
            key: "" for all keys.
            selectors: further selectors; a series must fit the metric and one of them.
            limit: at most so many values a key; 0 for no limit.
        Raises:
            NotFound: the metric, or the key on it, does not exist.
        """
        named = Matcher(MatchType.EQUAL, METRIC_NAME, metric)
        sets = [(named, *more) for more in self._parser.parse_selectors(selectors)] or [(named,)]
        scope = Scope(limit=limit)
        names = [key] if key else self._label_names(sets, Scope()).items
        values = {
            name: self._label_values(name, sets, scope) for name in names if name != METRIC_NAME
        }
        if not names or (key and not values.get(key, Listing([], False)).items):
            raise NotFound(
                f'no series of metric "{metric}" fits'
                + (f' and has the tag "{key}"' if key else "")
            )
        return values

    def _label_names(self, selectors: Sequence[Sequence[Matcher]], scope: Scope) -> Listing[str]:
        found = self._ask(
            "label names",
            scope,
            lambda budget: self._catalogue.list_label_names(
                selectors,
                scope.start_ms,
                scope.end_ms,
                limit=_one_more(scope.limit),
                budget=budget,
            ),
        )
        return _cut(found, scope.limit)

    def _label_values(
        self, name: str, selectors: Sequence[Sequence[Matcher]], scope: Scope
    ) -> Listing[str]:
        found = self._ask(
            "label values",
            scope,
            lambda budget: self._catalogue.list_label_values(
                name,
                selectors,
                scope.start_ms,
                scope.end_ms,
                limit=_one_more(scope.limit),
                budget=budget,
            ),
        )
        return _cut(found, scope.limit)

    def _ask(self, what: str, scope: Scope, ask: Callable[[ReadBudget], T]) -> T:
        about: dict[str, object] = {"listing": what, "selectors": list(scope.selectors)}
        with self._admission.admit("listing", timeout_ms=scope.timeout_ms, about=about) as deadline:
            return ask(self._budget(deadline))

    def _budget(self, deadline: Deadline) -> ReadBudget:
        return ReadBudget(
            max_samples=self._config.max_samples,
            deadline_s=deadline.at_s,
            max_series=self._config.max_series,
        )


def _one_more(limit: int) -> int:
    return limit + 1 if limit > 0 else 0


def _cut(found: list[T], limit: int) -> Listing[T]:
    truncated = 0 < limit < len(found)
    return Listing(found[:limit] if truncated else found, truncated)
