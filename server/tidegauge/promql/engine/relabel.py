"""label_replace and label_join.

Source: promql.md §6 (REGEX); Go's `regexp.Expand` for the replacement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tidegauge.errors import InvalidInput
from tidegauge.model.labels import METRIC_NAME, Labels, find_label, make_labels
from tidegauge.model.matchers import compile_re2
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Evaluation, Grid, text_argument
from tidegauge.promql.engine.errors import EvaluationFailed
from tidegauge.promql.engine.vectors import merge_equal
from tidegauge.promql.expansion import expand_match
from tidegauge.promql.quoting import is_valid_text, replace_invalid
from tidegauge.promql.value import Vector


def is_label_name(name: str) -> bool:
    """Return whether a label may be called so: any text that is valid UTF-8, but not none."""
    return name != "" and is_valid_text(name)


def label_replace(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    """Return the vector with a label made from another one by a regular expression.

    Raises:
        EvaluationFailed: the expression or the label name is not valid.
        DuplicateLabelSet: the label told two series apart.
    """
    target, replacement, source, pattern = (text_argument(arg) for arg in call.args[1:])
    try:
        regex = compile_re2(pattern)
    except InvalidInput as exc:
        raise EvaluationFailed(f"invalid regular expression in label_replace(): {pattern}") from exc
    if not is_label_name(target):
        raise EvaluationFailed(f"invalid destination label name in label_replace(): {target}")
    replaced: dict[str, str | None] = {}

    def replace(labels: Labels) -> str | None:
        value = find_label(labels, source)
        if value not in replaced:
            match = regex.fullmatch(replace_invalid(value))
            replaced[value] = None if match is None else expand_match(replacement, match)
        return replaced[value]

    return _relabel(evaluation.vector(call.args[0], grid), target, replace)


def label_join(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    """Return the vector with a label joined from others.

    Raises:
        EvaluationFailed: a label name is not valid.
        DuplicateLabelSet: the label told two series apart.
    """
    target, separator, *sources = (text_argument(arg) for arg in call.args[1:])
    for source in sources:
        if not is_label_name(source):
            raise EvaluationFailed(f"invalid source label name in label_join(): {source}")
    if not is_label_name(target):
        raise EvaluationFailed(f"invalid destination label name in label_join(): {target}")

    def join(labels: Labels) -> str:
        return separator.join(find_label(labels, source) for source in sources)

    return _relabel(evaluation.vector(call.args[0], grid), target, join)


def _relabel(vector: Vector, target: str, make: Callable[[Labels], str | None]) -> Vector:
    labels: list[Labels] = []
    written = np.zeros(len(vector.labels), bool)
    for row, old in enumerate(vector.labels):
        value = make(old)
        if value is None:
            labels.append(old)
            continue
        written[row] = True
        pairs = dict(old)
        pairs[target] = value
        labels.append(make_labels(pairs))
    drops = vector.drop_name & ~written if target == METRIC_NAME else vector.drop_name
    return merge_equal(replace(vector, labels=labels, drop_name=drops))
