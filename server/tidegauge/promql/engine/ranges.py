"""Functions of range vectors.

Source: promql.md §6 (RATE, NAMES, ABSENT); Prometheus `engine.eval` for calls with a matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tidegauge.model.histogram import are_histograms
from tidegauge.model.labels import METRIC_NAME, Labels, find_label
from tidegauge.promql import nodes
from tidegauge.promql.engine.absence import absent_labels
from tidegauge.promql.engine.context import Evaluation, Grid
from tidegauge.promql.engine.errors import DuplicateLabelSet, EvaluationFailed
from tidegauge.promql.engine.native_ranges import apply_to_histograms
from tidegauge.promql.engine.notes import invalid_quantile
from tidegauge.promql.engine.selectors import RangeVector, extension_of, select_range
from tidegauge.promql.engine.vectors import (
    empty_vector,
    make_vector,
    present_steps,
    strip_metadata,
    without_absent,
)
from tidegauge.promql.kernels.extended import (
    ANCHORED_FUNCTIONS,
    SMOOTHED_FUNCTIONS,
    apply_extended,
)
from tidegauge.promql.kernels.ranges import RANGE_FUNCTIONS, apply_range_function
from tidegauge.promql.quoting import quote
from tidegauge.promql.value import Vector

CALLS = RANGE_FUNCTIONS | {"absent_over_time"}
# They only move samples in time, so the series keeps its name.
_KEEP_NAME = frozenset({"first_over_time", "last_over_time"})
_COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")


def evaluate_range_call(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    """Return a function of a range vector at every step.

    Raises:
        EvaluationFailed: a parameter is out of range, or the selector's modifier does not fit.
        DuplicateLabelSet: only the names told two series apart, and names go at once.
    """
    position = next(
        index
        for index, arg in enumerate(call.args)
        if isinstance(arg, nodes.MatrixSelector | nodes.Subquery)
    )
    source = call.args[position]
    _check_extension(call.func, extension_of(source))
    params = tuple(
        evaluation.scalar(arg, grid) for index, arg in enumerate(call.args) if index != position
    )
    ranges = select_range(evaluation, source, grid, call.func)
    if call.func == "absent_over_time":
        return _absent_over_time(evaluation, source, ranges)
    if call.func == "double_exponential_smoothing":
        _check_factors(evaluation, ranges, params)
    values, present = _apply(evaluation, call.func, source, ranges, params)
    histograms = apply_to_histograms(
        evaluation.query,
        call.func,
        ranges,
        params,
        values,
        present,
        extension=extension_of(source),
        span=source.span,
    )
    if call.func == "quantile_over_time":
        _warn_of_quantiles(evaluation, call, params[0], present)
    if call.func in ("rate", "increase"):
        floats = present
        if histograms is not None:
            floats = present & ~are_histograms(histograms)
        _inform_of_gauges(evaluation, ranges.frame.labels, floats, source)
    return _name_result(evaluation, call.func, ranges, values, present, histograms)


def _apply(
    evaluation: Evaluation,
    func: str,
    source: nodes.Expr,
    ranges: RangeVector,
    params: tuple[np.ndarray, ...],
) -> tuple[np.ndarray, np.ndarray]:
    query, extension = evaluation.query, extension_of(source)
    if extension:
        return apply_extended(
            func, extension, ranges.frame, ranges.windows, query.lookback_ms, query.check
        )
    return apply_range_function(func, ranges.frame, ranges.windows, params, query.check)


def _name_result(
    evaluation: Evaluation,
    func: str,
    ranges: RangeVector,
    values: np.ndarray,
    present: np.ndarray,
    histograms: np.ndarray | None,
) -> Vector:
    drops = ranges.drop_name if func in _KEEP_NAME else np.ones(len(values), bool)
    vector = without_absent(Vector(ranges.frame.labels, values, present, drops, histograms))
    if evaluation.query.options.delayed_name_removal:
        return vector
    if func not in _KEEP_NAME:
        vector = replace(
            vector,
            labels=strip_metadata(vector.labels),
            drop_name=np.zeros(len(vector.labels), bool),
        )
    # Unlike elsewhere, equal labels are an error here even at different steps.
    if len(set(vector.labels)) < len(vector.labels):
        raise DuplicateLabelSet
    return vector


def _absent_over_time(evaluation: Evaluation, source: nodes.Expr, ranges: RangeVector) -> Vector:
    _, present = apply_range_function(
        "present_over_time", ranges.frame, ranges.windows, (), evaluation.query.check
    )
    absent = ~present_steps(present)
    if not absent.any():
        return empty_vector(len(absent))
    return make_vector([absent_labels(source)], np.ones((1, len(absent))), absent[None])


def _check_extension(func: str, extension: str) -> None:
    allowed = {"anchored": ANCHORED_FUNCTIONS, "smoothed": SMOOTHED_FUNCTIONS}.get(extension)
    if allowed is not None and func not in allowed:
        raise EvaluationFailed(
            f"{extension} modifier can only be used with: {', '.join(sorted(allowed))}"
            f" - not with {func}"
        )


def _check_factors(
    evaluation: Evaluation, ranges: RangeVector, params: Sequence[np.ndarray]
) -> None:
    faults = [(factor <= 0) | (factor >= 1) for factor in params]
    if not (faults[0] | faults[1]).any():
        return
    _, present = apply_range_function(
        "present_over_time", ranges.frame, ranges.windows, (), evaluation.query.check
    )
    used = present_steps(present)
    names = (("smoothing", "sf"), ("trend", "tf"))
    for (word, short), factor, fault in zip(names, params, faults, strict=True):
        steps = np.flatnonzero(fault & used)
        if len(steps):
            raise EvaluationFailed(
                f"invalid {word} factor. Expected: 0 < {short} < 1, got: {factor[steps[0]]:f}"
            )


def _warn_of_quantiles(
    evaluation: Evaluation, call: nodes.Call, q: np.ndarray, present: np.ndarray
) -> None:
    used = q[present_steps(present)]
    for value in np.unique(used[~((used >= 0) & (used <= 1))]).tolist():
        evaluation.query.notes.warn(invalid_quantile(value), call.args[0].span)


def _inform_of_gauges(
    evaluation: Evaluation,
    label_sets: Sequence[Labels],
    present: np.ndarray,
    source: nodes.Expr,
) -> None:
    shown = present.any(axis=1)
    names = dict.fromkeys(
        find_label(label_sets[row], METRIC_NAME) for row in np.flatnonzero(shown).tolist()
    )
    for name in names:
        if name and not name.endswith(_COUNTER_SUFFIXES):
            evaluation.query.notes.inform(
                "metric might not be a counter, name does not end in "
                f"_total/_sum/_count/_bucket: {quote(name)}",
                source.span,
            )
