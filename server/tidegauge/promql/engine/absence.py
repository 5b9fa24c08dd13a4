"""absent(), and the labels that it and absent_over_time() give to what is not there.

Source: promql.md §6 (ABSENT); Prometheus `createLabelsForAbsentFunction`.
"""

from __future__ import annotations

import numpy as np

from tidegauge.model.labels import METRIC_NAME, Labels, make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Evaluation, Grid
from tidegauge.promql.engine.vectors import empty_vector, make_vector, present_steps
from tidegauge.promql.value import Vector


def absent(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    """Return 1 at the steps where the vector has no sample."""
    missing = ~present_steps(evaluation.vector(call.args[0], grid).present)
    if not missing.any():
        return empty_vector(grid.count)
    return make_vector([absent_labels(call.args[0])], np.ones((1, grid.count)), missing[None])


def absent_labels(expr: nodes.Expr) -> Labels:
    """Return the labels that a selector's `=` matchers pin down; none for other expressions."""
    matchers: tuple[Matcher, ...] = ()
    if isinstance(expr, nodes.VectorSelector):
        matchers = expr.matchers
    elif isinstance(expr, nodes.MatrixSelector):
        matchers = expr.selector.matchers
    labels: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.type is MatchType.EQUAL and matcher.name not in seen:
            labels[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            labels.pop(matcher.name, None)
    return make_labels(labels)
