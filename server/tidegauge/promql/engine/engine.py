"""The engine's face: a tree and a reader in, a result out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Grid, Query, unwrap
from tidegauge.promql.engine.errors import EvaluationFailed, NestedTooDeeply
from tidegauge.promql.engine.evaluator import Evaluator
from tidegauge.promql.engine.notes import Notes
from tidegauge.promql.engine.options import EngineOptions
from tidegauge.promql.engine.prepare import prepare
from tidegauge.promql.engine.selectors import flatten, select_whole_range, subquery_grid
from tidegauge.promql.engine.vectors import (
    drop_marked_names,
    merge_equal,
    take_rows,
    without_absent,
)
from tidegauge.promql.reader import Reader
from tidegauge.promql.value import Matrix, Result, Scalar, Value, Vector


class Engine:
    """Evaluates expressions; safe to use from many threads at once.

    Args:
        options: the switches of the language.
    """

    def __init__(self, options: EngineOptions | None = None) -> None:
        self._options = options or EngineOptions()

    def evaluate(
        self,
        expr: nodes.Expr,
        *,
        reader: Reader,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        lookback_ms: int | None = None,
        check: Callable[[], None] = lambda: None,
        text: str = "",
    ) -> Result:
        """Evaluate an expression at start, start + step, … up to end.

        Args:
            expr: a tree that passed the type check.
            reader: where samples come from.
            step_ms: 0 for an instant query, at start_ms which is end_ms then.
            lookback_ms: another lookback than the options' for this query.
            check: called often; raises when the deadline is over.
            text: the query as written, so that annotations can tell its lines apart.
        Returns:
            The value; an instant query's series in the order the expression gives them, a range
            query's sorted by labels; series without any sample are not there.
        Raises:
            EvaluationFailed: these data or parameters allow no answer.
            BadDuration: a duration expression has no usable value.
        """
        steps = (end_ms - start_ms) // step_ms + 1 if step_ms else 1
        grid = Grid(start_ms + step_ms * np.arange(steps, dtype=np.int64), step_ms)
        try:
            prepared = prepare(expr, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms)
            query = Query(
                self._options,
                reader=reader,
                lookback_ms=lookback_ms or self._options.lookback_ms,
                check=check,
                notes=Notes(text),
                repeated=prepared.repeated,
            )
            evaluator = Evaluator(query, prepared)
            with np.errstate(all="ignore"):
                value = _answer(evaluator, prepared.expr, grid)
        except RecursionError as exc:
            raise NestedTooDeeply from exc
        return Result(value, grid.steps_ms, query.notes.annotations(), query.samples_read)


def _answer(evaluator: Evaluator, expr: nodes.Expr, grid: Grid) -> Value:
    top = unwrap(expr)
    if isinstance(top, nodes.MatrixSelector | nodes.Subquery):
        if grid.step_ms:
            raise EvaluationFailed(
                'invalid expression type "range vector" for range query,'
                " must be Scalar or instant Vector"
            )
        return Matrix(_whole_range(evaluator, top, grid))
    value = evaluator.evaluate(top, grid)
    if isinstance(value, Vector):
        return _finish(evaluator, value, sort=grid.step_ms > 0)
    if isinstance(value, Scalar):
        return Scalar(np.ascontiguousarray(value.values))
    return value


def _finish(evaluator: Evaluator, vector: Vector, *, sort: bool) -> Vector:
    delayed = evaluator.query.options.delayed_name_removal
    shown = without_absent(vector)
    finished = drop_marked_names(shown) if delayed else merge_equal(shown)
    if not sort:
        return finished
    order = sorted(range(len(finished.labels)), key=finished.labels.__getitem__)
    ordered = take_rows(finished, np.array(order, np.int64))
    # Rows picked from a view need not lie one after another.
    return Vector(
        ordered.labels,
        np.ascontiguousarray(ordered.values),
        np.ascontiguousarray(ordered.present),
        ordered.drop_name,
        None if ordered.histograms is None else np.ascontiguousarray(ordered.histograms),
    )


def _whole_range(
    evaluator: Evaluator, expr: nodes.MatrixSelector | nodes.Subquery, grid: Grid
) -> SeriesFrame:
    if isinstance(expr, nodes.MatrixSelector):
        return select_whole_range(evaluator, expr, grid)
    inner = subquery_grid(evaluator, expr, grid)
    if not inner.count:
        return SeriesFrame.empty()
    return flatten(_finish(evaluator, evaluator.vector(expr.expr, inner), sort=True), inner)
