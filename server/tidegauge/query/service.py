"""The QueryService: parse, look among the kept answers, limit, read, evaluate."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from tidegauge.config import QueryConfig
from tidegauge.errors import InvalidInput
from tidegauge.model.frame import SeriesFrame
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
from tidegauge.query.result_cache import Bodies, Found, Question, ResultCache
from tidegauge.query.result_codec import Evaluation
from tidegauge.query.times import choose_step_ms
from tidegauge.storage.protocol import SampleEngine

LOGGED_QUERY_CHARS = 1000


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What a client may choose for one query.

    Args:
        timeout_ms: a shorter time limit than the configured one; None for that.
        lookback_ms: another lookback; None for the configured one.
        cached: whether the answer may be a kept one, and may be kept.
    """

    timeout_ms: int | None = None
    lookback_ms: int | None = None
    cached: bool = True


DEFAULT_OPTIONS = QueryOptions()


class CacheUse(StrEnum):
    """What the cache did for an answer."""

    HIT = "hit"
    MISS = "miss"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's result, and what it took.

    Args:
        result: the value over its grid; not to be changed, since others may share it.
        start_ms, end_ms: the range that was asked for.
        step_ms: 0 for an instant query.
        series_read: series that its selectors matched.
        took_ms: waiting for its turn included.
        cache: what the cache did.
        bodies: keeps what is rendered of it for those who get the same result.
    """

    result: Result
    start_ms: int
    end_ms: int
    step_ms: int
    series_read: int
    took_ms: float
    cache: CacheUse = CacheUse.OFF
    bodies: Bodies = field(default_factory=Bodies)


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
        running: counts the samples that are held in memory.
        meters: the instruments.
        monotonic: the monotonic clock, seconds.
        cache: keeps results; None keeps none.
    """

    def __init__(
        self,
        *,
        samples: SampleEngine,
        engine: Engine,
        parser: QueryParser,
        admission: Admission,
        running: RunningSamples,
        config: QueryConfig,
        meters: Meters,
        monotonic: Callable[[], float],
        cache: ResultCache | None = None,
    ) -> None:
        self._samples, self._engine, self._parser = samples, engine, parser
        self._admission, self._config, self._meters = admission, config, meters
        self._monotonic, self._cache, self._running = monotonic, cache, running

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
        with self._admission.measure(kind, timeout_ms=options.timeout_ms, about=about) as deadline:
            expr = self._parser.parse(text)
            if grid.step_ms:
                _check_range_type(expr)

            def evaluate() -> Evaluation:
                with self._admission.place(deadline):
                    return self._admission.guard(
                        deadline,
                        lambda: self._evaluate(expr, text, grid, options, deadline, about),
                    )

            if self._cache is None or not options.cached:
                found = Found(evaluate(), False, Bodies())
                use = CacheUse.OFF
            else:
                deadline.check()
                question = self._make_question(kind, text, grid, options)
                found = self._cache.answer(question, deadline=deadline, evaluate=evaluate)
                use = CacheUse.HIT if found.is_hit else CacheUse.MISS
            about["cache_hit"] = found.is_hit
        took_ms = (self._monotonic() - before_s) * 1000
        evaluation = found.evaluation
        return Answer(
            evaluation.result,
            grid.start_ms,
            grid.end_ms,
            grid.step_ms,
            evaluation.series_read,
            took_ms,
            use,
            found.bodies,
        )

    def _make_question(self, kind: str, text: str, grid: _Grid, options: QueryOptions) -> Question:
        return Question(
            kind=kind,
            form=self._parser.normalise(text),
            text=text,
            start_ms=grid.start_ms,
            end_ms=grid.end_ms,
            step_ms=grid.step_ms,
            lookback_ms=self._lookback_ms(options),
            subquery_step_ms=self._config.subquery_step_s * 1000,
        )

    def _lookback_ms(self, options: QueryOptions) -> int:
        return options.lookback_ms or self._config.lookback_s * 1000

    def _evaluate(
        self,
        expr: nodes.Expr,
        text: str,
        grid: _Grid,
        options: QueryOptions,
        deadline: Deadline,
        about: dict[str, object],
    ) -> Evaluation:
        reader = BudgetedReader(
            self._samples,
            self._config,
            deadline,
            lookback_ms=self._lookback_ms(options),
            running=self._running,
        )
        with contextlib.closing(reader):
            result = self._run_engine(expr, text, grid, options, reader, deadline)
        about["samples_read"], about["series_read"] = result.samples_read, reader.series_read
        check_result(result, self._config)
        self._meters.query_samples.inc(result.samples_read)
        return Evaluation(result, reader.series_read, max(grid.end_ms, reader.read_until_ms))

    def _run_engine(
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


def truncate_series(result: Result, limit: int) -> tuple[Result, bool]:
    """Return the result with at most `limit` series (0 keeps all), and whether any were cut off.

    The given result stays as it is.
    """
    value = result.value
    if limit <= 0 or not isinstance(value, Vector | Matrix):
        return result, False
    cut = _cut_vector(value, limit) if isinstance(value, Vector) else _cut_matrix(value, limit)
    return (result, False) if cut is None else (replace(result, value=cut), True)


def _cut_vector(value: Vector, limit: int) -> Vector | None:
    # A series that is nowhere present is not part of the answer and must not use up the limit.
    shown = np.flatnonzero(value.present.any(axis=1))
    if len(shown) <= limit:
        return None
    kept = shown[:limit]
    return Vector(
        [value.labels[i] for i in kept],
        value.values[kept],
        value.present[kept],
        value.drop_name[kept],
    )


def _cut_matrix(value: Matrix, limit: int) -> Matrix | None:
    frame = value.frame
    shown = np.flatnonzero(np.diff(frame.offsets))
    if len(shown) <= limit:
        return None
    end = int(shown[limit - 1]) + 1
    samples = int(frame.offsets[end])
    return Matrix(
        SeriesFrame(
            frame.labels[:end],
            frame.offsets[: end + 1],
            frame.times_ms[:samples],
            frame.values[:samples],
        )
    )


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
