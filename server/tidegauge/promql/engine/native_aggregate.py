"""sum and avg where some samples are native histograms, group by group and step by step."""

from __future__ import annotations

import numpy as np

from tidegauge.model.histogram import Histogram
from tidegauge.model.labels import METRIC_NAME, find_label
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Query
from tidegauge.promql.engine.grouping import Groups
from tidegauge.promql.engine.vectors import histogram_grid, without_absent
from tidegauge.promql.kernels.reference import Window, avg_over_time, sum_over_time
from tidegauge.promql.native.notes import hints_collide, mixed_schemas, reconciled
from tidegauge.promql.native.totals import find_incompatible, mean_of, total_of
from tidegauge.promql.value import Vector


def aggregate_histograms(
    query: Query, expr: nodes.Aggregate, vector: Vector, groups: Groups
) -> Vector:
    """Return the sum or mean of every group at every step.

    Floats and histograms in one group give nothing, and so do exponential and custom buckets.
    Source: Prometheus `engine.aggregation`.
    """
    shape = groups.count, vector.present.shape[1]
    result = Vector(
        groups.labels,
        np.zeros(shape),
        np.zeros(shape, bool),
        np.zeros(groups.count, bool),
        np.full(shape, None, object),
    )
    grid = histogram_grid(vector)
    for group in range(groups.count):
        rows = groups.rows(group)
        for step in range(shape[1]):
            query.check()
            here = rows[vector.present[rows, step]]
            if len(here):
                result.drop_name[group] |= bool(vector.drop_name[here].any())
                _reduce(query, expr, vector, grid, here, (group, step), result)
    return without_absent(result)


def _reduce(
    query: Query,
    expr: nodes.Aggregate,
    vector: Vector,
    grid: np.ndarray,
    rows: np.ndarray,
    cell: tuple[int, int],
    result: Vector,
) -> None:
    notes, span, step = query.notes, expr.expr.span, cell[1]
    histograms: list[Histogram] = [one for one in grid[rows, step] if one is not None]
    if not histograms:
        reduce = sum_over_time if expr.op == "sum" else avg_over_time
        values = vector.values[rows, step].tolist()
        result.values[cell] = reduce(Window([], values, 0, 0, 0, ()))
        result.present[cell] = True
        return
    if len(histograms) < len(rows):
        notes.warn("encountered a mix of histograms and floats for aggregation", span)
        return
    wrong = find_incompatible(histograms)
    if wrong is not None:
        metric = find_label(vector.labels[int(rows[wrong])], METRIC_NAME)
        notes.warn(mixed_schemas(metric), span)
        return
    total = total_of(histograms) if expr.op == "sum" else mean_of(histograms)
    if total.hints_collide:
        notes.warn(hints_collide("aggregation"), span)
    if total.bounds_reconciled:
        notes.inform(reconciled("aggregation"), span)
    assert result.histograms is not None
    result.histograms[cell] = total.histogram.compact()
    result.present[cell] = True
