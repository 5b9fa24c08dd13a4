"""The QueryService: parse, limit, read, evaluate."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tidegauge.config import QueryConfig
from tidegauge.errors import InvalidInput
from tidegauge.observability.meters import Meters
from tidegauge.promql import nodes
from tidegauge.promql.engine import Engine
from tidegauge.promql.engine.errors import TooManyPoints as VectorTooLarge
from tidegauge.promql.value import Matrix, Result, Vector
from tidegauge.query.admission import Admission
from tidegauge.query.limits import (
    BudgetedReader,
    Deadline,
    RunningSamples,
    check_points,
    check_result,
    too_many_cells,
)
from tidegauge.query.parsing import QueryParser
from tidegauge.query.running import RunningQueries
from tidegauge.query.times import choose_step_ms
from tidegauge.storage.protocol import SampleEngine

LOGGED_QUERY_CHARS = 1000


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What a client may choose for one query.

    Args:
        timeout_ms: a shorter time limit than the configured one; None for that.
        lookback_ms: another lookback; None for the configured one.
    """

    timeout_ms: int | None = None
    lookback_ms: int | None = None


DEFAULT_OPTIONS = QueryOptions()


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's result, and what it took.

    Args:
        result: the value over its grid.
        step_ms: 0 for an instant query.
        series_read: series that its selectors matched.
        took_ms: waiting for its turn included.
    """

    result: Result
    step_ms: int
    series_read: int
    took_ms: float


@dataclass(frozen=True, slots=True)
class _Grid:
    start_ms: int
    end_ms: int
    step_ms: int


class QueryService:
    """Answers PromQL.

    Args:
        samples: where samples are read.
        engine: evaluates trees.
        parser: makes trees.
        admission: deadlines, places and measurements, shared with the listings.
        config: the limits.
        meters: the instruments.
        monotonic: the monotonic clock, seconds.
    """

    def __init__(
        self,
        *,
        samples: SampleEngine,
        engine: Engine,
        parser: QueryParser,
        admission: Admission,
        config: QueryConfig,
        meters: Meters,
        monotonic: Callable[[], float],
    ) -> None:
        self._samples, self._engine, self._parser = samples, engine, parser
        self._admission, self._config, self._meters = admission, config, meters
        self._monotonic = monotonic
        self._running = RunningSamples(config)

    @property
    def running(self) -> RunningQueries:
        """The queries and listings that run or wait in this process."""
        return self._admission.running

    def instant(
        self, text: str, *, time_ms: int, options: QueryOptions = DEFAULT_OPTIONS
    ) -> Answer:
        """Evaluate a query at one moment.

        Raises:
            QuerySyntaxError, InvalidInput, LimitExceeded, QueryFailed, DeadlineExceeded,
            Unavailable.
        """
        return self._answer("instant", text, _Grid(time_ms, time_ms, 0), options)

    def range(
        self,
        text: str,
        *,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> Answer:
        """Evaluate a query at start, start + step, … up to end.

        Args:
            step_ms: at least 1.
        Raises:
            As `instant`; TooManyPoints for too fine a step.
        """
        if end_ms < start_ms:
            raise InvalidInput("end timestamp must not be before start time")
        if step_ms < 1:
            raise InvalidInput(
                "zero or negative query resolution step widths are not accepted. "
                "Try a positive integer"
            )
        check_points(start_ms, end_ms, step_ms, self._config)
        return self._answer("range", text, _Grid(start_ms, end_ms, step_ms), options)

    def api_query(
        self,
        text: str,
        *,
        start_ms: int,
        end_ms: int,
        step_ms: int | None,
        options: QueryOptions = DEFAULT_OPTIONS,
    ) -> Answer:
        """Evaluate as the native API does: one moment where start is end, else a range.

        Args:
            step_ms: None for one that suits the range.
        Raises:
            As `range`.
        """
        if start_ms == end_ms and step_ms is None:
            return self.instant(text, time_ms=start_ms, options=options)
        chosen_ms = choose_step_ms(end_ms - start_ms) if step_ms is None else step_ms
        return self.range(
            text, start_ms=start_ms, end_ms=end_ms, step_ms=chosen_ms, options=options
        )

    def _answer(self, kind: str, text: str, grid: _Grid, options: QueryOptions) -> Answer:
        before_s = self._monotonic()
        about: dict[str, object] = {
            "query": text[:LOGGED_QUERY_CHARS],
            "start_ms": grid.start_ms,
            "end_ms": grid.end_ms,
            "step_ms": grid.step_ms,
        }
        with self._admission.admit(kind, timeout_ms=options.timeout_ms, about=about) as deadline:
            expr = self._parser.parse(text)
            if grid.step_ms:
                _check_range_type(expr)
            reader = BudgetedReader(
                self._samples,
                self._config,
                deadline,
                lookback_ms=options.lookback_ms or self._config.lookback_s * 1000,
                running=self._running,
            )
            with contextlib.closing(reader):
                result = self._evaluate(expr, text, grid, options, reader, deadline)
            about["samples_read"], about["series_read"] = result.samples_read, reader.series_read
            check_result(result, self._config)
        self._meters.query_samples.inc(result.samples_read)
        took_ms = (self._monotonic() - before_s) * 1000
        return Answer(result, grid.step_ms, reader.series_read, took_ms)

    def _evaluate(
        self,
        expr: nodes.Expr,
        text: str,
        grid: _Grid,
        options: QueryOptions,
        reader: BudgetedReader,
        deadline: Deadline,
    ) -> Result:
        try:
            return self._engine.evaluate(
                expr,
                reader=reader,
                start_ms=grid.start_ms,
                end_ms=grid.end_ms,
                step_ms=grid.step_ms,
                lookback_ms=options.lookback_ms,
                check=deadline.check,
                text=text,
            )
        except VectorTooLarge as exc:
            raise too_many_cells(exc.reached, exc.allowed) from exc


def truncate_series(result: Result, limit: int) -> bool:
    """Keep at most `limit` series (0 keeps all) and return whether any were cut off."""
    value = result.value
    if limit <= 0 or not isinstance(value, Vector | Matrix):
        return False
    if isinstance(value, Vector):
        # A series that is nowhere present is not part of the answer and must not use up the limit.
        shown = np.flatnonzero(value.present.any(axis=1))
        if len(shown) <= limit:
            return False
        kept = shown[:limit]
        value.labels = [value.labels[i] for i in kept]
        value.values, value.present = value.values[kept], value.present[kept]
        value.drop_name = value.drop_name[kept]
        return True
    return _truncate_frame(value, limit)


def _truncate_frame(value: Matrix, limit: int) -> bool:
    frame = value.frame
    shown = np.flatnonzero(np.diff(frame.offsets))
    if len(shown) <= limit:
        return False
    end = int(shown[limit - 1]) + 1
    samples = int(frame.offsets[end])
    value.frame = type(frame)(
        frame.labels[:end],
        frame.offsets[: end + 1],
        frame.times_ms[:samples],
        frame.values[:samples],
    )
    return True


def _check_range_type(expr: nodes.Expr) -> None:
    inner = expr
    while isinstance(inner, nodes.Paren):
        inner = inner.expr
    kind = ""
    if isinstance(inner, nodes.MatrixSelector | nodes.Subquery):
        kind = nodes.ValueType.MATRIX.value
    elif isinstance(inner, nodes.StringLiteral):
        kind = nodes.ValueType.STRING.value
    if kind:
        raise InvalidInput(
            f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector'
        )
