"""Pairs of samples of which at least one is a native histogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidegauge.model.histogram import are_histograms
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Query
from tidegauge.promql.engine.mixed import combine_samples
from tidegauge.promql.native.notes import Note
from tidegauge.promql.native.windows import Sample


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an operation: float64 (P, T), and object (P, T) where some are histograms."""

    values: np.ndarray
    histograms: np.ndarray | None

    def sample(self, row: int, step: int) -> Sample:
        """Return one of its samples."""
        found = None if self.histograms is None else self.histograms[row, step]
        return float(self.values[row, step]) if found is None else found


@dataclass(frozen=True, slots=True)
class Found:
    """What came of pairs with histograms.

    Args:
        histograms: object, shape (P, T): the results.
        met: bool: where there is one.
        kept: bool: where, of a comparison, it holds.
    """

    histograms: np.ndarray
    met: np.ndarray
    kept: np.ndarray


def find_histograms(met: np.ndarray, *sides: Side) -> np.ndarray | None:
    """Return where samples meet of which at least one is a histogram; None: nowhere."""
    cells = np.zeros(met.shape, bool)
    for side in sides:
        if side.histograms is not None:
            cells |= are_histograms(side.histograms)
    cells &= met
    return cells if cells.any() else None


def combine_sides(
    query: Query, expr: nodes.Binary, cells: np.ndarray, left: Side, right: Side
) -> Found:
    """Return what comes of an operation at some cells: bool, shape (P, T)."""
    histograms = np.full(cells.shape, None, object)
    met, kept = np.zeros(cells.shape, bool), np.zeros(cells.shape, bool)
    last: dict[int, Note] = {}
    for row, step in np.argwhere(cells).tolist():
        query.check()
        found = combine_samples(expr.op, left.sample(row, step), right.sample(row, step))
        if found.note is not None:
            last[step] = found.note
        if found.sample is not None:
            met[row, step], kept[row, step] = True, found.keep
            histograms[row, step] = found.sample
    # Of each step the last note counts, as in Prometheus.
    for note in last.values():
        query.notes.add(note, expr.span)
    return Found(histograms, met, kept)
