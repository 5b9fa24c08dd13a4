"""Instant vectors: the few things that many parts of the engine do to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from tidegauge.model.histogram import are_histograms
from tidegauge.model.labels import Labels, drop_labels
from tidegauge.promql.engine.errors import DuplicateLabelSet
from tidegauge.promql.engine.options import EngineOptions
from tidegauge.promql.value import Vector

METADATA_LABELS = frozenset({"__name__", "__type__", "__unit__"})


def make_vector(
    labels: list[Labels],
    values: np.ndarray,
    present: np.ndarray,
    drop_name: np.ndarray | None = None,
) -> Vector:
    """Return a vector, by default of names that stay."""
    return Vector(labels, values, present, _no_drops(labels) if drop_name is None else drop_name)


def _no_drops(labels: Sequence[Labels]) -> np.ndarray:
    return np.zeros(len(labels), bool)


def empty_vector(steps: int) -> Vector:
    """Return the vector of no series."""
    return make_vector([], np.zeros((0, steps)), np.zeros((0, steps), bool))


def single_series(values: np.ndarray, present: np.ndarray | None = None) -> Vector:
    """Return the vector of one series without labels; values float64 (T,), by default all there."""
    row = values.reshape(1, -1)
    return make_vector([()], row, np.ones(row.shape, bool) if present is None else present[None])


def take_rows(vector: Vector, rows: np.ndarray) -> Vector:
    """Return the vector of these series, in this order."""
    return Vector(
        [vector.labels[row] for row in rows.tolist()],
        vector.values[rows],
        vector.present[rows],
        vector.drop_name[rows],
        None if vector.histograms is None else vector.histograms[rows],
    )


def present_rows(vector: Vector) -> np.ndarray:
    """Return which series have any sample: bool, shape (S,)."""
    shown: np.ndarray = np.logical_or.reduce(vector.present, axis=1)
    return shown


def present_steps(present: np.ndarray) -> np.ndarray:
    """Return at which steps any of the rows of bool (S, T) is present: bool, shape (T,)."""
    steps: np.ndarray = np.logical_or.reduce(present, axis=0)
    return steps


def histogram_cells(vector: Vector) -> np.ndarray:
    """Return where the samples are histograms: bool, shape (S, T)."""
    if vector.histograms is None:
        return np.zeros(vector.present.shape, bool)
    cells: np.ndarray = vector.present & are_histograms(vector.histograms)
    return cells


def histogram_grid(vector: Vector) -> np.ndarray:
    """Return the histograms of a vector as a grid of its shape, without any where it has none."""
    if vector.histograms is None:
        return np.full(vector.present.shape, None, object)
    return vector.histograms


def floats_only(vector: Vector) -> Vector:
    """Return the vector without the samples that are histograms."""
    if vector.histograms is None:
        return vector
    present = vector.present & ~histogram_cells(vector)
    return without_absent(replace(vector, present=present, histograms=None))


def without_absent(vector: Vector) -> Vector:
    """Return the vector without the series that are nowhere present."""
    shown = present_rows(vector)
    return vector if shown.all() else take_rows(vector, np.flatnonzero(shown))


def strip_metadata(labels: Iterable[Labels]) -> list[Labels]:
    """Return the label sets without name, type and unit."""
    return [drop_labels(one, METADATA_LABELS) for one in labels]


def merge_equal(vector: Vector) -> Vector:
    """Return the vector with series of equal labels made one.

    Raises:
        DuplicateLabelSet: two of them are present at the same step.
    """
    if len(set(vector.labels)) == len(vector.labels):
        return vector
    rows_of: dict[Labels, list[int]] = {}
    for row, labels in enumerate(vector.labels):
        rows_of.setdefault(labels, []).append(row)
    steps = vector.present.shape[1]
    # The flag of the sample that comes first counts for the whole series.
    first_step = np.where(present_rows(vector), vector.present.argmax(axis=1), steps)
    merged = take_rows(vector, np.array([rows[0] for rows in rows_of.values()]))
    for index, rows in enumerate(rows_of.values()):
        if len(rows) == 1:
            continue
        merged.drop_name[index] = vector.drop_name[rows[int(np.argmin(first_step[rows]))]]
        for row in rows[1:]:
            present = vector.present[row]
            if (merged.present[index] & present).any():
                raise DuplicateLabelSet
            np.copyto(merged.values[index], vector.values[row], where=present)
            if merged.histograms is not None and vector.histograms is not None:
                np.copyto(merged.histograms[index], vector.histograms[row], where=present)
            merged.present[index] |= present
    return merged


def drop_names(vector: Vector, options: EngineOptions) -> Vector:
    """Return the vector as after a function that takes the metric names away.

    Raises:
        DuplicateLabelSet: only the names told two series apart, and names go at once.
    """
    if options.delayed_name_removal:
        return replace(vector, drop_name=np.ones(len(vector.labels), bool))
    return merge_equal(replace(vector, labels=strip_metadata(vector.labels)))


def drop_marked_names(vector: Vector) -> Vector:
    """Return the vector with the names marked for the end of the query removed.

    Raises:
        DuplicateLabelSet: only the names told two series apart that are present at once.
    """
    if not vector.drop_name.any():
        return merge_equal(vector)
    labels = [
        drop_labels(one, METADATA_LABELS) if drop else one
        for one, drop in zip(vector.labels, vector.drop_name.tolist(), strict=True)
    ]
    return merge_equal(replace(vector, labels=labels, drop_name=_no_drops(labels)))
