"""info(): adds the labels of info series (`target_info`) to the series of a vector.

Source: Prometheus `promql/info.go`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tidegauge.model.labels import METRIC_NAME, Labels, find_label, keep_labels, make_labels
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.promql import nodes
from tidegauge.promql.engine.context import Evaluation, Grid
from tidegauge.promql.engine.errors import ConflictingInfo, EvaluationFailed
from tidegauge.promql.engine.goformat import format_labels
from tidegauge.promql.engine.selectors import select_vector
from tidegauge.promql.engine.vectors import (
    histogram_cells,
    merge_equal,
    present_rows,
    take_rows,
    without_absent,
)
from tidegauge.promql.value import Vector

_IDENTIFYING = frozenset({"instance", "job"})
_TARGET_INFO = Matcher(MatchType.EQUAL, METRIC_NAME, "target_info")
_ANY_INFO = Matcher(MatchType.REGEX, METRIC_NAME, ".+_info")


def evaluate_info(evaluation: Evaluation, call: nodes.Call, grid: Grid) -> Vector:
    """Return the vector with the labels of the info series that have the same job and instance.

    Raises:
        ConflictingInfo: two info series of one name are equally new, or two info series
            give a label different values.
        DuplicateLabelSet: the labels added make two series equal.
    """
    vector = without_absent(evaluation.vector(call.args[0], grid))
    names, data = _split_matchers(call)
    own_info = np.array([_passes(names, labels) for labels in vector.labels], bool)
    chosen = _InfoSeries(evaluation, call, grid, names, data, vector, own_info)
    needed = any(not matcher.matches("") for matcher in data)
    wanted = frozenset(matcher.name for matcher in data)
    rows: list[int] = []
    labels: list[Labels] = []
    present: list[np.ndarray] = []
    for row, base in enumerate(vector.labels):
        if own_info[row]:
            rows.append(row)
            labels.append(base)
            present.append(vector.present[row])
            continue
        for found, steps in chosen.combinations(base):
            here = vector.present[row] & steps
            if here.any() and (found or not needed):
                rows.append(row)
                labels.append(_enrich(base, found, wanted))
                present.append(here)
    shape = (len(rows), grid.count)
    shown = np.stack(present) if present else np.zeros(shape, bool)
    taken = take_rows(vector, np.array(rows, np.int64))
    return merge_equal(replace(taken, labels=labels, present=shown))


def _split_matchers(call: nodes.Call) -> tuple[list[Matcher], list[Matcher]]:
    """Return the matchers that choose info metrics, and those for their labels."""
    matchers: tuple[Matcher, ...] = ()
    if len(call.args) > 1:
        selector = call.args[1]
        assert isinstance(selector, nodes.VectorSelector)
        matchers = selector.matchers
    names = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
    data = [matcher for matcher in matchers if matcher.name != METRIC_NAME]
    if not names:
        return [_TARGET_INFO], data
    if any(matcher.type in (MatchType.EQUAL, MatchType.REGEX) for matcher in names):
        return names, data
    return [_ANY_INFO, *names], data


def _passes(matchers: Sequence[Matcher], labels: Labels) -> bool:
    return all(matcher.matches(find_label(labels, matcher.name)) for matcher in matchers)


def _enrich(base: Labels, found: Sequence[Labels], wanted: frozenset[str]) -> Labels:
    added: dict[str, str] = {}
    own = dict(base)
    for info in found:
        for name, value in info:
            if name == METRIC_NAME or (wanted and name not in wanted):
                continue
            if added.get(name, value) != value:
                raise ConflictingInfo(f"conflicting label: {name}")
            if name not in own:
                added[name] = value
    return make_labels(own | added)


class _InfoSeries:
    """The info series of one call, by name and by job and instance."""

    def __init__(
        self,
        evaluation: Evaluation,
        call: nodes.Call,
        grid: Grid,
        names: Sequence[Matcher],
        data: Sequence[Matcher],
        vector: Vector,
        own_info: np.ndarray,
    ) -> None:
        self._newest: dict[str, dict[Labels, np.ndarray]] = {}
        self._labels: list[Labels] = []
        self._steps = grid.count
        identifying = _identifying_matchers(vector.labels, own_info)
        if not identifying:
            return
        selector = nodes.VectorSelector(
            "", (*identifying, *data, *names), call.span, _shift_of(call.args[0])
        )
        info, times_ms = select_vector(evaluation, selector, grid)
        if histogram_cells(info).any():
            raise EvaluationFailed("info sample should be float")
        self._labels = info.labels
        rows_of: dict[tuple[str, Labels], list[int]] = {}
        for row in np.flatnonzero(present_rows(info)).tolist():
            labels = info.labels[row]
            key = (find_label(labels, METRIC_NAME), keep_labels(labels, _IDENTIFYING))
            rows_of.setdefault(key, []).append(row)
        for (name, identity), rows in rows_of.items():
            newest = _newest(info, times_ms, rows)
            self._newest.setdefault(name, {})[identity] = newest

    def combinations(self, base: Labels) -> list[tuple[list[Labels], np.ndarray]]:
        """Return which info series a series meets, and at which steps: bool, shape (T,)."""
        identity = keep_labels(base, _IDENTIFYING)
        met = [rows[identity] for rows in self._newest.values() if identity in rows]
        if not met:
            return [([], np.ones(self._steps, bool))]
        columns, which = np.unique(np.stack(met), axis=1, return_inverse=True)
        return [
            ([self._labels[row] for row in column if row >= 0], which.reshape(-1) == index)
            for index, column in enumerate(columns.T.tolist())
        ]


def _newest(info: Vector, times_ms: np.ndarray, rows: list[int]) -> np.ndarray:
    """Return the series with the newest sample at each step, -1 for none: int64, shape (T,)."""
    present = info.present[rows]
    stamps = np.where(present, times_ms[rows], np.iinfo(np.int64).min)
    newest = stamps.max(axis=0)
    equal = present & (stamps == newest)
    for step in np.flatnonzero(equal.sum(axis=0) > 1).tolist():
        first, second = np.flatnonzero(equal[:, step])[:2].tolist()
        time_ms = int(newest[step])
        raise ConflictingInfo(
            "found duplicate series for info metric: "
            f"existing {format_labels(info.labels[rows[first]])} @ {time_ms}, "
            f"new {format_labels(info.labels[rows[second]])} @ {time_ms}"
        )
    return np.where(equal.any(axis=0), np.array(rows)[equal.argmax(axis=0)], -1)


def _identifying_matchers(label_sets: Sequence[Labels], own_info: np.ndarray) -> list[Matcher]:
    values: dict[str, set[str]] = {}
    for labels, is_info in zip(label_sets, own_info.tolist(), strict=True):
        if not is_info:
            for name, value in keep_labels(labels, _IDENTIFYING):
                values.setdefault(name, set()).add(value)
    return [
        Matcher(MatchType.REGEX, name, "|".join(re.escape(value) for value in sorted(known)))
        for name, known in values.items()
    ]


def _shift_of(expr: nodes.Expr) -> nodes.TimeShift:
    """Return the `@` and offset of the first selector; the info series are taken from there."""
    stack: list[tuple[nodes.Expr, nodes.TimeShift]] = [(expr, nodes.NO_SHIFT)]
    while stack:
        node, outer = stack.pop()
        match node:
            case nodes.VectorSelector():
                return _join_shifts(node.shift, outer)
            case nodes.MatrixSelector():
                return _join_shifts(node.selector.shift, outer)
            case nodes.Subquery():
                stack.append((node.expr, _join_shifts(node.shift, outer)))
            case nodes.Call():
                stack.extend((arg, outer) for arg in reversed(node.args))
            case nodes.Binary():
                stack.extend(((node.right, outer), (node.left, outer)))
            case nodes.Aggregate():
                if node.param is not None:
                    stack.append((node.param, outer))
                stack.append((node.expr, outer))
            case nodes.Paren() | nodes.Unary():
                stack.append((node.expr, outer))
    return nodes.NO_SHIFT


def _join_shifts(inner: nodes.TimeShift, outer: nodes.TimeShift) -> nodes.TimeShift:
    """Return both shifts as one; what lies outside an `@` does not count any more."""
    if inner.at_ms is not None:
        return inner
    return nodes.TimeShift(offset_ns=inner.offset_ns + outer.offset_ns, at_ms=outer.at_ms)
