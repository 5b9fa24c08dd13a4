"""Functions of instant vectors and scalars, by name.

Source: promql.md §4 and §6 (MATH, TIMESTAMP, ABSENT); Prometheus `promql/functions.go`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.model.histogram import Histogram
from tidegauge.promql import nodes
from tidegauge.promql.engine.absence import absent
from tidegauge.promql.engine.context import Evaluation, Grid
from tidegauge.promql.engine.errors import EvaluationFailed
from tidegauge.promql.engine.histograms import (
    histogram_fraction,
    histogram_quantile,
    histogram_quantiles,
)
from tidegauge.promql.engine.info import evaluate_info
from tidegauge.promql.engine.ranges import CALLS, evaluate_range_call
from tidegauge.promql.engine.relabel import label_join, label_replace
from tidegauge.promql.engine.selectors import select_starts, select_vector
from tidegauge.promql.engine.sorting import SORTS, evaluate_sort
from tidegauge.promql.engine.vectors import (
    drop_names,
    empty_vector,
    floats_only,
    histogram_cells,
    histogram_grid,
    single_series,
    without_absent,
)
from tidegauge.promql.kernels.elementwise import ELEMENTWISE, larger, smaller
from tidegauge.promql.native.moments import (
    deviation_of_observations,
    mean_of_observations,
    variance_of_observations,
)
from tidegauge.promql.value import Scalar, Value, Vector

# Of floats they give nothing.
OF_HISTOGRAMS: dict[str, Callable[[Histogram], float]] = {
    "histogram_count": lambda histogram: histogram.count,
    "histogram_sum": lambda histogram: histogram.sum,
    "histogram_avg": mean_of_observations,
    "histogram_stddev": deviation_of_observations,
    "histogram_stdvar": variance_of_observations,
}


def evaluate_call(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Value:
    """Return a function's value at every step.

    Raises:
        EvaluationFailed: a parameter has no usable value, or nobody knows the function.
        DuplicateLabelSet: the result would have equal label sets.
    """
    function = _FUNCTIONS.get(call.func)
    if function is None:
        raise EvaluationFailed(f"function {call.func}() cannot be evaluated here")
    return function(evaluation, call, grid)


def _elementwise(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    function = ELEMENTWISE[call.func]
    if not call.args:  # a date function of the step's own time
        return single_series(function(grid.steps_ms / 1000))
    vector = floats_only(evaluation.vector(call.args[0], grid))
    params = [evaluation.scalar(arg, grid) for arg in call.args[1:]]
    present = vector.present
    if call.func == "clamp":
        present = present & ~(params[1] < params[0])
    values = function(vector.values, *params)
    shown = Vector(vector.labels, values, present, vector.drop_name)
    return drop_names(without_absent(shown), evaluation.query.options)


def _scalar(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Scalar:
    vector = floats_only(evaluation.vector(call.args[0], grid))
    single = vector.present.sum(axis=0) == 1
    values = np.where(vector.present, vector.values, 0.0).sum(axis=0)
    return Scalar(np.where(single, values, np.nan))


def _vector(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    return single_series(evaluation.scalar(call.args[0], grid))


def _time(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Scalar:
    return Scalar(grid.steps_ms / 1000)


def _pi(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Scalar:
    return Scalar(np.full(grid.count, np.pi))


def _timestamp(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    selector = call.args[0]
    if isinstance(selector, nodes.VectorSelector) and not selector.extension:
        vector, times_ms = select_vector(evaluation, selector, grid)
    else:
        vector = evaluation.vector(selector, grid)
        times_ms = np.broadcast_to(grid.steps_ms, vector.present.shape)
    stamped = Vector(vector.labels, times_ms / 1000, vector.present, vector.drop_name)
    return drop_names(stamped, evaluation.query.options)


def _start_timestamp(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    selector = call.args[0]
    plain = isinstance(selector, nodes.VectorSelector) and not selector.extension
    if not plain or not evaluation.query.options.start_timestamps:
        evaluation.vector(selector, grid)
        return empty_vector(grid.count)
    assert isinstance(selector, nodes.VectorSelector)
    vector, starts_ms = select_starts(evaluation, selector, grid)
    stamped = Vector(vector.labels, starts_ms / 1000, vector.present, vector.drop_name)
    return drop_names(without_absent(stamped), evaluation.query.options)


def _of_two(choose: Callable[..., np.ndarray]) -> Callable[[Evaluation, nodes.Call, Grid], Scalar]:
    def chosen(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Scalar:
        left, right = (evaluation.scalar(arg, grid) for arg in call.args)
        return Scalar(choose(left, right))

    return chosen


def _of_histograms(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    vector = evaluation.vector(call.args[0], grid)
    cells = histogram_cells(vector)
    if not cells.any():
        return empty_vector(grid.count)
    function = OF_HISTOGRAMS[call.func]
    values = np.zeros(cells.shape)
    values[cells] = [function(one) for one in histogram_grid(vector)[cells]]
    shown = Vector(vector.labels, values, cells, vector.drop_name)
    return drop_names(without_absent(shown), evaluation.query.options)


_FUNCTIONS: dict[str, Callable[[Evaluation, nodes.Call, Grid], Value]] = {
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(CALLS, evaluate_range_call),
    **dict.fromkeys(SORTS, evaluate_sort),
    **dict.fromkeys(OF_HISTOGRAMS, _of_histograms),
    "absent": absent, "scalar": _scalar, "vector": _vector, "time": _time, "pi": _pi,
    "timestamp": _timestamp, "start_timestamp": _start_timestamp,
    "max_of": _of_two(larger), "min_of": _of_two(smaller),
    "label_replace": label_replace, "label_join": label_join,
    "histogram_quantile": histogram_quantile, "histogram_quantiles": histogram_quantiles,
    "histogram_fraction": histogram_fraction, "info": evaluate_info,
}  # fmt: skip
