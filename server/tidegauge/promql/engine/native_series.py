"""The native histograms of a vector, series by series, and numbers of each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tidegauge.model.labels import METRIC_NAME, Labels, find_label
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Query
from tidegauge.promql.engine.notes import about_metric
from tidegauge.promql.engine.vectors import histogram_cells, histogram_grid
from tidegauge.promql.native.quantiles import Doubt
from tidegauge.promql.value import Vector


@dataclass(frozen=True, slots=True)
class NativeSeries:
    """A series with native histograms.

    Args:
        labels: its labels.
        histograms: object, shape (T,).
        present: bool, shape (T,): where there is one.
    """

    labels: Labels
    histograms: np.ndarray
    present: np.ndarray


def list_native(vector: Vector) -> list[NativeSeries]:
    """Return the series of a vector that have native histograms."""
    cells = histogram_cells(vector)
    grid = histogram_grid(vector)
    return [
        NativeSeries(vector.labels[row], grid[row], cells[row].copy())
        for row in np.flatnonzero(cells.any(axis=1)).tolist()
    ]


def evaluate_native(
    query: Query,
    series: NativeSeries,
    source: nodes.Expr,
    function: Callable[..., tuple[float, Doubt | None]],
    *params: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return a function of parameters and each histogram: values and present, shape (T,).

    Args:
        function: called with the parameters of the step, then the histogram.
        params: float64, shape (T,) each.
    """
    metric = find_label(series.labels, METRIC_NAME)
    if not query.options.delayed_name_removal:
        metric = ""
    values = np.zeros(len(series.present))
    for step in np.flatnonzero(series.present).tolist():
        query.check()
        given = [float(param[step]) for param in params]
        values[step], doubt = function(*given, series.histograms[step])
        if doubt is not None:
            query.notes.inform(about_metric(doubt.value, metric), source.span)
    return values, series.present
