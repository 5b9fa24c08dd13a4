"""count_values: how often each value occurs, per step, with the value as a label."""

from __future__ import annotations

import numpy as np

from tidegauge.model.floats import format_go_f
from tidegauge.model.labels import Labels, drop_labels, make_labels
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Query, text_argument
from tidegauge.promql.engine.errors import EvaluationFailed
from tidegauge.promql.engine.grouping import group_series
from tidegauge.promql.engine.relabel import is_label_name
from tidegauge.promql.engine.vectors import empty_vector, make_vector, merge_equal
from tidegauge.promql.native.texts import format_histogram
from tidegauge.promql.quoting import quote
from tidegauge.promql.value import Vector


def count_values(query: Query, expr: nodes.Aggregate, vector: Vector) -> Vector:
    """Return, per group and value, how many series have the value.

    Raises:
        EvaluationFailed: the label name is not valid, or there are too many different values.
    """
    assert expr.param is not None
    label = text_argument(expr.param)
    if not is_label_name(label):
        raise EvaluationFailed(f"invalid label name {quote(label)}")
    steps = vector.present.shape[1]
    series, step = np.nonzero(vector.present)
    if not len(series):
        return empty_vector(steps)
    without_label = [drop_labels(labels, frozenset({label})) for labels in vector.labels]
    groups = group_series(without_label, expr.grouping, expr.without)
    spelled, codes = _spell(vector, series, step)
    pairs, rows = np.unique(groups.ids[series] * len(spelled) + codes, return_inverse=True)
    query.require_points("count_values", len(pairs), steps)
    counts = np.bincount(rows * steps + step, minlength=len(pairs) * steps).reshape(-1, steps)
    labelled = not (expr.without and label in expr.grouping)
    labels: list[Labels] = []
    for group, code in zip(*np.divmod(pairs, len(spelled)), strict=True):
        own = groups.labels[group]
        labels.append(make_labels((*own, (label, spelled[code]))) if labelled else own)
    return _sum_equal(make_vector(labels, counts.astype(np.float64), counts > 0))


def _spell(vector: Vector, series: np.ndarray, step: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the different values as labels have them, and which of them each sample is."""
    # By their bits, so that 0 and -0 are two values.
    bits, codes = np.unique(vector.values[series, step].view(np.int64), return_inverse=True)
    spelled = [format_go_f(value) for value in bits.view(np.float64).tolist()]
    if vector.histograms is None:
        return spelled, codes
    places: dict[str, int] = {}
    for at, found in enumerate(vector.histograms[series, step].tolist()):
        if found is not None:
            text = format_histogram(found)
            codes[at] = len(spelled) + places.setdefault(text, len(places))
    return spelled + list(places), codes


def _sum_equal(vector: Vector) -> Vector:
    """Return the vector with counts of equal labels added: NaN has many bit patterns, and
    `without` may name the label itself."""
    if len(set(vector.labels)) == len(vector.labels):
        return vector
    groups: dict[Labels, int] = {}
    ids = np.array([groups.setdefault(labels, len(groups)) for labels in vector.labels])
    counts = np.zeros((len(groups), vector.values.shape[1]))
    np.add.at(counts, ids, vector.values)
    return merge_equal(make_vector(list(groups), counts, counts > 0))
