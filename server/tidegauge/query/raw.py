"""Samples as they are stored, without a query: for federation and remote read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from tidegauge.config import QueryConfig
from tidegauge.model.frame import SeriesFrame
from tidegauge.model.matchers import Matcher
from tidegauge.promql.reader import SelectHints
from tidegauge.query.admission import Admission
from tidegauge.query.limits import BudgetedReader, RunningSamples
from tidegauge.storage.protocol import SampleEngine

LOGGED_CHARS = 1000

Read = Callable[[Sequence[Matcher], int, int], SeriesFrame]
"""Reads the samples with start_ms <= time <= end_ms (Unix ms) of all series that match."""


class RawReads:
    """Reads samples within the limits of one query.

    Args:
        samples: where they are.
        admission: deadlines, places and measurements, shared with the queries.
        running: counts the samples that are held, shared with the queries.
        config: the limits.
    """

    def __init__(
        self,
        *,
        samples: SampleEngine,
        admission: Admission,
        running: RunningSamples,
        config: QueryConfig,
    ) -> None:
        self._samples, self._admission = samples, admission
        self._running, self._config = running, config

    @contextlib.contextmanager
    def open(self, what: str, selectors: Sequence[Sequence[Matcher]]) -> Iterator[Read]:
        """Give the block a function that reads; what it has read counts until the block ends.

        Args:
            what: who reads, for the list of running queries and the slow-query log.
            selectors: what it will read, for the same.
        Raises:
            LimitExceeded, DeadlineExceeded, Cancelled, Unavailable: so does the function.
        """
        about: dict[str, object] = {
            "listing": what,
            "selectors": [repr(list(selectors))[:LOGGED_CHARS]],
        }
        with self._admission.admit("raw", timeout_ms=None, about=about) as deadline:
            reader = BudgetedReader(
                self._samples, self._config, deadline, lookback_ms=0, running=self._running
            )
            with contextlib.closing(reader):

                def read(matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesFrame:
                    return self._admission.guard(
                        deadline,
                        lambda: reader.select(matchers, start_ms, end_ms, SelectHints()),
                    )

                yield read
