"""histogram_quantile and its neighbours, on classic and on native histograms.

Source: promql.md §6 (HISTQUANT); Prometheus `functions.go` and `EvalNodeHelper.resetHistograms`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tidegauge.model.labels import METRIC_NAME, Labels, drop_labels, find_label, make_labels
from tidegauge.promql import nodes
from tidegauge.promql.durations import parse_float
from tidegauge.promql.engine.context import Evaluation, Grid, Query, text_argument
from tidegauge.promql.engine.goformat import format_openmetrics
from tidegauge.promql.engine.native_series import NativeSeries, evaluate_native, list_native
from tidegauge.promql.engine.notes import Raised, about_metric, invalid_quantile
from tidegauge.promql.engine.vectors import (
    drop_names,
    empty_vector,
    floats_only,
    make_vector,
    merge_equal,
    present_rows,
    without_absent,
)
from tidegauge.promql.kernels.histogram import (
    ClassicQuantile,
    classic_fraction,
    classic_quantile,
)
from tidegauge.promql.native.quantiles import fraction_of, quantile_of
from tidegauge.promql.quoting import quote
from tidegauge.promql.value import Vector

_BUCKET = frozenset({"le"})


@dataclass(frozen=True, slots=True)
class _Histogram:
    """The buckets of one histogram, sorted by bound."""

    labels: Labels
    bounds: np.ndarray
    counts: np.ndarray
    present: np.ndarray


def histogram_quantile(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    """Return the quantile of every classic histogram in the vector."""
    query = evaluation.query
    q = evaluation.scalar(call.args[0], grid)
    _warn_of_quantiles(query, q, call.args[0])
    vector = evaluation.vector(call.args[1], grid)
    classic, native = _split(query, vector, call.args[1])
    labels = [one.labels for one in native]
    rows = [evaluate_native(query, one, call.args[1], quantile_of, q) for one in native]
    for histogram in classic:
        labels.append(histogram.labels)
        found = _quantile(query, histogram, q, call.args[1], grid)
        rows.append((found.values, found.present))
    return _assemble(query, labels, rows, grid)


def histogram_quantiles(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    """Return several quantiles of every classic histogram, told apart by a label."""
    query = evaluation.query
    vector = evaluation.vector(call.args[0], grid)
    label = text_argument(call.args[1])
    classic, native = _split(query, vector, call.args[0])
    labels: list[Labels] = []
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    for arg in call.args[2:]:
        q = evaluation.scalar(arg, grid)
        _warn_of_quantiles(query, q, arg)
        values, which = np.unique(q, return_inverse=True)
        computed = [
            (one.labels, *evaluate_native(query, one, call.args[0], quantile_of, q))
            for one in native
        ]
        for histogram in classic:
            found = _quantile(query, histogram, q, call.args[0], grid)
            computed.append((histogram.labels, found.values, found.present))
        for own, quantiles, present in computed:
            for index, value in enumerate(values.tolist()):
                pairs = dict(own)
                pairs[label] = format_openmetrics(value)
                labels.append(make_labels(pairs))
                rows.append((quantiles, present & (which == index)))
    return _assemble(query, labels, rows, grid)


def histogram_fraction(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    """Return the share of observations between two values of every classic histogram."""
    query = evaluation.query
    lower, upper = (evaluation.scalar(arg, grid) for arg in call.args[:2])
    vector = evaluation.vector(call.args[2], grid)
    classic, native = _split(query, vector, call.args[2])
    labels = [one.labels for one in native]
    rows = [evaluate_native(query, one, call.args[2], fraction_of, lower, upper) for one in native]
    for one in classic:
        labels.append(one.labels)
        rows.append(classic_fraction(lower, upper, one.bounds, one.counts, one.present))
    return _assemble(query, labels, rows, grid)


def _assemble(
    query: Query, labels: list[Labels], rows: list[tuple[np.ndarray, np.ndarray]], grid: Grid
) -> Vector:
    if not rows:
        return empty_vector(grid.count)
    values, present = (np.stack(column) for column in zip(*rows, strict=True))
    vector = without_absent(make_vector(labels, values, present))
    return drop_names(merge_equal(vector), query.options)


def _split(
    query: Query, vector: Vector, source: nodes.Expr
) -> tuple[list[_Histogram], list[NativeSeries]]:
    """Return the classic and the native histograms of a vector.

    Where both have the same labels at one step neither is there.
    """
    classic = list(_histograms(query, floats_only(vector), source))
    native = list_native(vector)
    groups = {one.labels: one for one in classic}
    for series in native:
        group = groups.get(series.labels)
        if group is None:
            continue
        both = group.present.any(axis=0) & series.present
        if both.any():
            text = "vector contains a mix of classic and native histograms"
            query.notes.warn(about_metric(text, _metric_of(query, series.labels)), source.span)
            group.present[:, both] = False
            series.present[both] = False
    return classic, native


def _histograms(query: Query, vector: Vector, source: nodes.Expr) -> Iterator[_Histogram]:
    """Yield the histograms of a vector; what is no bucket is left out with a warning."""
    bounds: list[float] = []
    rows_of: dict[Labels, list[int]] = {}
    shown = present_rows(vector).tolist()
    for row, labels in enumerate(vector.labels):
        spelled = find_label(labels, "le")
        bound = _parse_bound(spelled)
        bounds.append(np.nan if bound is None else bound)
        if bound is not None:
            rows_of.setdefault(drop_labels(labels, _BUCKET), []).append(row)
        elif shown[row]:
            query.notes.warn(
                about_metric(
                    f'bucket label "le" is missing or has a malformed value of {quote(spelled)}',
                    _metric_of(query, labels),
                ),
                source.span,
            )
    for labels, members in rows_of.items():
        rows = np.array(members)
        rows = rows[np.argsort(np.array([bounds[row] for row in members]), kind="stable")]
        yield _Histogram(
            labels,
            np.array([bounds[row] for row in rows.tolist()]),
            vector.values[rows],
            vector.present[rows],
        )


def _parse_bound(spelled: str) -> float | None:
    try:
        return parse_float(spelled)
    except ValueError:
        return None


def _quantile(
    query: Query, histogram: _Histogram, q: np.ndarray, source: nodes.Expr, grid: Grid
) -> ClassicQuantile:
    query.check()
    found = classic_quantile(q, histogram.bounds, histogram.counts, histogram.present)
    forced = np.flatnonzero(found.forced & found.present)
    if len(forced):
        text = (
            "input to histogram_quantile needed to be fixed for monotonicity (see https://"
            "prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
        )
        raised = Raised(
            first_ms=int(grid.steps_ms[forced[0]]),
            last_ms=int(grid.steps_ms[forced[-1]]),
            least_bound=float(found.least_bound[forced].min()),
            greatest_bound=float(found.greatest_bound[forced].max()),
            greatest_diff=float(found.greatest_diff[forced].max()),
            samples=len(forced),
        )
        metric = _metric_of(query, histogram.labels)
        query.notes.inform_raised(about_metric(text, metric), source.span, raised)
    return found


def _metric_of(query: Query, labels: Labels) -> str:
    # Without delayed removal Prometheus has lost the name by the time it writes the note.
    return find_label(labels, METRIC_NAME) if query.options.delayed_name_removal else ""


def _warn_of_quantiles(query: Query, q: np.ndarray, arg: nodes.Expr) -> None:
    for value in np.unique(q[~((q >= 0) & (q <= 1))]).tolist():
        query.notes.warn(invalid_quantile(value), arg.span)
