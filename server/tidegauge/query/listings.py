"""What there is: series, label names and values, metrics and their metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
_Selectors = Sequence[Sequence[Matcher]]

LOGGED_SELECTORS = 10
LOGGED_SELECTOR_CHARS = 200


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
        also: matchers that every series must pass besides.
    """

    selectors: Sequence[str] = ()
    start_ms: int | None = None
    end_ms: int | None = None
    limit: int = 0
    timeout_ms: int | None = None
    also: tuple[Matcher, ...] = ()


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
        found = self._ask(
            "series",
            scope,
            lambda selectors, budget: self._catalogue.list_series(
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
        found = self._ask(
            "label names",
            scope,
            lambda selectors, budget: self._catalogue.list_label_names(
                selectors,
                scope.start_ms,
                scope.end_ms,
                limit=_one_more(scope.limit),
                budget=budget,
            ),
        )
        return _cut(found, scope.limit)

    def label_values(self, name: str, scope: Scope) -> Listing[str]:
        """Return the sorted values of one label among the series in scope.

        Raises:
            As `series`.
        """
        found = self._ask(
            "label values",
            scope,
            lambda selectors, budget: self._catalogue.list_label_values(
                name,
                selectors,
                scope.start_ms,
                scope.end_ms,
                limit=_one_more(scope.limit),
                budget=budget,
            ),
        )
        return _cut(found, scope.limit)

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
            lambda _selectors, budget: self._catalogue.list_metrics(
                search=search, after=after, limit=limit + 1, budget=budget
            ),
        )
        return _cut(found, limit)

    def metadata(self, *, metric: str, limit: int) -> Mapping[str, MetricMetadata]:
        """Return type, unit and help by metric name; `metric` "" means all, limit 0 no limit."""
        return self._ask(
            "metadata",
            Scope(),
            lambda _selectors, _budget: self._catalogue.read_metadata(metric, limit),
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
        every = Scope(selectors=selectors, also=(named,))
        scope = replace(every, limit=limit)
        names = [key] if key else self.label_names(every).items
        values = {name: self.label_values(name, scope) for name in names if name != METRIC_NAME}
        if not names or (key and not values.get(key, Listing([], False)).items):
            raise NotFound(
                f'no series of metric "{metric}" fits'
                + (f' and has the tag "{key}"' if key else "")
            )
        return values

    def _ask(self, what: str, scope: Scope, ask: Callable[[_Selectors, ReadBudget], T]) -> T:
        shown = [text[:LOGGED_SELECTOR_CHARS] for text in scope.selectors[:LOGGED_SELECTORS]]
        about: dict[str, object] = {"listing": what, "selectors": shown}
        with self._admission.admit("listing", timeout_ms=scope.timeout_ms, about=about) as deadline:
            found = self._parser.parse_selectors(scope.selectors, check=deadline.check)
            selectors = [(*scope.also, *matchers) for matchers in found]
            if scope.also and not selectors:
                selectors = [scope.also]
            budget = self._budget(deadline)
            return self._admission.guard(deadline, lambda: ask(selectors, budget))

    def _budget(self, deadline: Deadline) -> ReadBudget:
        return ReadBudget(
            max_samples=self._config.max_samples,
            deadline_s=deadline.at_s,
            max_series=self._config.max_series,
            cancellation=deadline.cancellation,
        )


def _one_more(limit: int) -> int:
    return limit + 1 if limit > 0 else 0


def _cut(found: list[T], limit: int) -> Listing[T]:
    truncated = 0 < limit < len(found)
    return Listing(found[:limit] if truncated else found, truncated)
