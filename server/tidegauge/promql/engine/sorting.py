"""sort, sort_desc, sort_by_label, sort_by_label_desc: the order of an instant query's result."""

from __future__ import annotations

import functools
import re

import numpy as np

from tidegauge.model.labels import Labels, find_label
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Evaluation, Grid, text_argument
from tidegauge.promql.engine.heaps import rank_like_go
from tidegauge.promql.engine.vectors import floats_only, take_rows, without_absent
from tidegauge.promql.value import Vector

SORTS = frozenset({"sort", "sort_desc", "sort_by_label", "sort_by_label_desc"})
_CHUNK = re.compile(r"\d+|\D+", re.ASCII)


def evaluate_sort(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    """Return the vector in order, NaN last; a range query is only warned."""
    vector = evaluation.vector(call.args[0], grid)
    if grid.count > 1:
        evaluation.query.notes.warn(
            "sort is ineffective for range queries since results are always ordered by labels",
            call.span,
        )
        return vector
    shown = without_absent(vector)
    descending = call.func.endswith("_desc")
    if call.func.startswith("sort_by_label"):
        names = [text_argument(arg) for arg in call.args[1:]]
        key = functools.cmp_to_key(functools.partial(_compare_labels, names))
        rows = sorted(
            range(len(shown.labels)), key=lambda row: key(shown.labels[row]), reverse=descending
        )
        return take_rows(shown, np.array(rows, np.int64))
    shown = floats_only(shown)
    values = shown.values[:, 0]
    keys = (values if descending else -values).tolist()
    return take_rows(shown, np.array(rank_like_go(keys, list(range(len(keys)))), np.int64))


def _compare_labels(names: list[str], left: Labels, right: Labels) -> int:
    for name in names:
        left_value, right_value = find_label(left, name), find_label(right, name)
        if left_value != right_value:
            return -1 if _naturally_before(left_value, right_value) else 1
    return -1 if left < right else int(left > right)


def _naturally_before(left: str, right: str) -> bool:
    """Return whether a text comes before another one, runs of digits compared as numbers."""
    left_chunks, right_chunks = _CHUNK.findall(left), _CHUNK.findall(right)
    for left_chunk, right_chunk in zip(left_chunks, right_chunks, strict=False):
        if left_chunk.isdigit() and right_chunk.isdigit():
            if int(left_chunk) != int(right_chunk):
                return int(left_chunk) < int(right_chunk)
        elif left_chunk != right_chunk:
            return bool(left_chunk < right_chunk)
    return len(left_chunks) <= len(right_chunks)
