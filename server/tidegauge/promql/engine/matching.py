"""Operations on two vectors: which series meet, and what comes of it.

Source: promql.md §6 (MATCHING, NAMES); Prometheus `VectorBinop`. The pairs are made once per
query; uniqueness is checked for every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tidegauge.model.labels import (
    METRIC_NAME,
    Labels,
    drop_labels,
    find_label,
    keep_labels,
    make_labels,
)
from tidegauge.promql import nodes
from tidegauge.promql.engine.binary import ARITHMETIC, COMPARISONS, TRIMS
from tidegauge.promql.engine.context import Query
from tidegauge.promql.engine.errors import ManyMatches
from tidegauge.promql.engine.goformat import format_labels
from tidegauge.promql.engine.native_matching import Side, combine_sides, find_histograms
from tidegauge.promql.engine.vectors import (
    METADATA_LABELS,
    empty_vector,
    merge_equal,
    without_absent,
)
from tidegauge.promql.native.notes import incompatible_types
from tidegauge.promql.nodes import Card
from tidegauge.promql.value import Vector


class Signatures:
    """Numbers for what series are matched by: equal labels, equal number.

    Args:
        matching: `on(…)` takes the listed labels, `ignoring(…)` all others but the name.
    """

    def __init__(self, matching: nodes.VectorMatching) -> None:
        self._names = frozenset(matching.labels)
        self._on = matching.on
        self._ids: dict[Labels, int] = {}

    @property
    def count(self) -> int:
        """How many different signatures there are."""
        return len(self._ids)

    def of(self, labels: Labels) -> Labels:
        """Return the part of a label set that is matched by."""
        if self._on:
            return keep_labels(labels, self._names)
        return drop_labels(labels, self._names | {METRIC_NAME})

    def ids(self, label_sets: Sequence[Labels]) -> np.ndarray:
        """Return the number of each series' signature: int64, shape (S,)."""
        ids = self._ids
        return np.array(
            [ids.setdefault(self.of(labels), len(ids)) for labels in label_sets], np.int64
        )


@dataclass(slots=True)
class _Side:
    vector: Vector
    ids: np.ndarray

    def before(self, step: int) -> _Side:
        vector = self.vector
        return _Side(
            Vector(
                vector.labels,
                vector.values[:, :step],
                vector.present[:, :step],
                vector.drop_name,
                None if vector.histograms is None else vector.histograms[:, :step],
            ),
            self.ids,
        )


@dataclass(slots=True)
class _Pairs:
    """Rows that meet: many-side and one-side samples, and what the result is called."""

    labels: list[Labels]
    ids: np.ndarray
    many: np.ndarray
    one: np.ndarray
    met: np.ndarray
    many_histograms: np.ndarray | None = None
    one_histograms: np.ndarray | None = None


class VectorOperation:
    """One binary operation on two instant vectors, set operators excluded.

    Args:
        query: the query it is part of.
        expr: the operation; its matching is not None.
    """

    def __init__(self, query: Query, expr: nodes.Binary) -> None:
        assert expr.matching is not None
        self._query, self._expr, self._matching = query, expr, expr.matching
        self._swapped = expr.matching.card is Card.ONE_TO_MANY
        self._names = frozenset(expr.matching.labels)
        self._signatures = Signatures(expr.matching)
        drops_name = expr.op in ARITHMETIC or (
            expr.return_bool and not query.options.delayed_name_removal
        )
        self._removed = METADATA_LABELS if drops_name else frozenset()

    def apply(self, left: Vector, right: Vector) -> Vector:
        """Return the result at every step.

        Raises:
            ManyMatches: a match group has several series on the "one" side, or a result series
                would have several values.
            DuplicateLabelSet: two match groups give the same label set.
        """
        steps = left.present.shape[1]
        filled = self._matching.fill_left is not None or self._matching.fill_right is not None
        if not filled:
            left, right = self._both_sides_only(left, right)
            if not left.labels or not right.labels:
                return empty_vector(steps)
        many_vector, one_vector = (right, left) if self._swapped else (left, right)
        many = _Side(many_vector, self._signatures.ids(many_vector.labels))
        one = _Side(one_vector, self._signatures.ids(one_vector.labels))
        duplicate = self._find_duplicate(one)
        if duplicate is None:
            return self._combine(self._pairs(many, one))
        step, fault = duplicate
        # What is wrong at an earlier step is what the user is told of.
        self._check_unique(self._pairs(many.before(step), one.before(step)))
        raise fault

    def _both_sides_only(self, left: Vector, right: Vector) -> tuple[Vector, Vector]:
        """Leave nothing at the steps where a side is empty: there duplicates do no harm."""
        both = left.present.any(axis=0) & right.present.any(axis=0)
        if not both.all():
            left = replace(left, present=left.present & both)
            right = replace(right, present=right.present & both)
        return without_absent(left), without_absent(right)

    def _find_duplicate(self, one: _Side) -> tuple[int, ManyMatches] | None:
        """Return the first step with two series of one signature, and the error about them."""
        counts = np.bincount(one.ids, minlength=self._signatures.count)
        found: list[tuple[int, int, int]] = []
        for signature in np.flatnonzero(counts > 1).tolist():
            rows = np.flatnonzero(one.ids == signature)
            present = one.vector.present[rows]
            crowded = np.flatnonzero(present.sum(axis=0) > 1)
            if len(crowded):
                first, second = rows[present[:, crowded[0]]][:2].tolist()
                found.append((int(crowded[0]), second, first))
        if not found:
            return None
        step, second, first = min(found)
        return step, self._duplicate(one.vector.labels[first], one.vector.labels[second])

    def _pairs(self, many: _Side, one: _Side) -> _Pairs:
        pairs = self._pair(many, one)
        filled = self._fill(many, one, pairs)
        return _concatenate([pairs, *filled]) if filled else pairs

    def _duplicate(self, first: Labels, second: Labels) -> ManyMatches:
        side = "left" if self._swapped else "right"
        shown = ", ".join(sorted((format_labels(first), format_labels(second))))
        return ManyMatches(
            "found duplicate series for the match group "
            f"{format_labels(self._signatures.of(first))} on the {side} hand-side of the "
            f"operation: [{shown}];many-to-many matching not allowed: "
            "matching labels must be unique on one side"
        )

    def _pair(self, many: _Side, one: _Side) -> _Pairs:
        one_rows: dict[int, list[int]] = {}
        for row, signature in enumerate(one.ids.tolist()):
            one_rows.setdefault(signature, []).append(row)
        met = [
            (many_row, one_row)
            for many_row, signature in enumerate(many.ids.tolist())
            for one_row in one_rows.get(signature, ())
        ]
        rows = np.array(met, np.int64).reshape(-1, 2)
        many_at, one_at = rows[:, 0], rows[:, 1]
        labels = [
            self._result_labels(many.vector.labels[many_row], one.vector.labels[one_row])
            for many_row, one_row in met
        ]
        return _Pairs(
            labels,
            many.ids[many_at],
            many.vector.values[many_at],
            one.vector.values[one_at],
            many.vector.present[many_at] & one.vector.present[one_at],
            _take_histograms(many.vector, many_at),
            _take_histograms(one.vector, one_at),
        )

    def _fill(self, many: _Side, one: _Side, pairs: _Pairs) -> list[_Pairs]:
        """Return the pairs of samples without partner with a fill value.

        Under group_right the sides are swapped and the fill values are not: so has Prometheus.
        """
        count = self._signatures.count
        matching = self._matching
        filled: list[_Pairs] = []
        matched = any_by_signature(pairs.ids, pairs.met, count)
        if matching.fill_right is not None:
            lonely = (
                many.vector.present
                & ~any_by_signature(one.ids, one.vector.present, count)[many.ids]
            )
            labels = [
                self._result_labels(own, self._signatures.of(own)) for own in many.vector.labels
            ]
            value = np.broadcast_to(matching.fill_right, lonely.shape)
            filled.append(
                _Pairs(
                    labels,
                    many.ids,
                    many.vector.values,
                    value,
                    lonely,
                    many_histograms=many.vector.histograms,
                )
            )
        if matching.fill_left is not None:
            lonely = one.vector.present & ~matched[one.ids]
            labels = [
                self._result_labels(self._signatures.of(own), own) for own in one.vector.labels
            ]
            value = np.broadcast_to(matching.fill_left, lonely.shape)
            filled.append(
                _Pairs(
                    labels,
                    one.ids,
                    value,
                    one.vector.values,
                    lonely,
                    one_histograms=one.vector.histograms,
                )
            )
        return filled

    def _result_labels(self, many: Labels, one: Labels) -> Labels:
        matching = self._matching
        labels = drop_labels(many, self._removed) if self._removed else many
        if matching.card is Card.ONE_TO_ONE:
            reduce: Callable[[Labels, frozenset[str]], Labels]
            reduce = keep_labels if matching.on else drop_labels
            labels = reduce(labels, self._names)
        if matching.include:
            pairs = dict(labels)
            pairs.update((name, find_label(one, name)) for name in matching.include)
            labels = make_labels(pairs)
        return labels

    def _combine(self, pairs: _Pairs) -> Vector:
        op = self._expr.op
        sides = (
            Side(pairs.many, pairs.many_histograms),
            Side(pairs.one, pairs.one_histograms),
        )
        mixed = find_histograms(pairs.met, *sides)
        floats = pairs.met if mixed is None else pairs.met & ~mixed
        if op in TRIMS and floats.any():
            self._query.notes.inform(incompatible_types(op, "float", "float"), self._expr.span)
        found = None
        if mixed is not None:
            ordered = sides[::-1] if self._swapped else sides
            found = combine_sides(self._query, self._expr, mixed, *ordered)
        # A sample that cannot be combined is not there, and so is in nobody's way.
        taken = pairs.met if found is None else floats | found.met
        if op not in TRIMS:
            self._check_unique(replace(pairs, met=taken))
        elif found is None:
            return empty_vector(pairs.met.shape[1])
        left, right = (pairs.one, pairs.many) if self._swapped else (pairs.many, pairs.one)
        present, values = floats, left
        if op in TRIMS:
            present = np.zeros_like(floats)
        elif op in ARITHMETIC:
            values = ARITHMETIC[op](left, right)
        elif self._expr.return_bool:
            values = COMPARISONS[op](left, right).astype(np.float64)
        else:
            present = present & COMPARISONS[op](left, right)
        histograms = None
        if found is not None:
            present, histograms = present | found.kept, found.histograms
            if self._expr.return_bool:
                values, histograms = np.where(found.met, found.kept, values), None
                present = present | found.met
        drops = np.full(len(pairs.labels), self._expr.return_bool)
        combined = Vector(pairs.labels, values, present, drops, histograms)
        return merge_equal(without_absent(combined))

    def _check_unique(self, pairs: _Pairs) -> None:
        one_to_one = self._matching.card is Card.ONE_TO_ONE
        rows_of: dict[object, list[int]] = {}
        for row, signature in enumerate(pairs.ids.tolist()):
            key = signature if one_to_one else (signature, pairs.labels[row])
            rows_of.setdefault(key, []).append(row)
        if len(rows_of) == len(pairs.labels):
            return
        for rows in rows_of.values():
            if len(rows) > 1 and (pairs.met[rows].sum(axis=0) > 1).any():
                raise ManyMatches(
                    "multiple matches for labels: "
                    + (
                        "many-to-one matching must be explicit (group_left/group_right)"
                        if one_to_one
                        else "grouping labels must ensure unique matches"
                    )
                )


def _take_histograms(vector: Vector, rows: np.ndarray) -> np.ndarray | None:
    return None if vector.histograms is None else vector.histograms[rows]


def any_by_signature(ids: np.ndarray, present: np.ndarray, count: int) -> np.ndarray:
    """Return where any series with a signature is present: bool, shape (count, T).

    Args:
        ids: int64, shape (S,): the signature of each series.
        present: bool, shape (S, T).
        count: how many signatures there are.
    """
    found = np.zeros((count, present.shape[1]), bool)
    if len(ids):
        order = np.argsort(ids, kind="stable")
        starts = np.flatnonzero(np.append(True, np.diff(ids[order]) != 0))
        found[ids[order[starts]]] = np.logical_or.reduceat(present[order], starts)
    return found


def _concatenate(pairs: Sequence[_Pairs]) -> _Pairs:
    return _Pairs(
        [labels for one in pairs for labels in one.labels],
        np.concatenate([one.ids for one in pairs]),
        np.concatenate([one.many for one in pairs]),
        np.concatenate([one.one for one in pairs]),
        np.concatenate([one.met for one in pairs]),
        _concatenate_histograms([one.many_histograms for one in pairs], pairs),
        _concatenate_histograms([one.one_histograms for one in pairs], pairs),
    )


def _concatenate_histograms(
    grids: Sequence[np.ndarray | None], pairs: Sequence[_Pairs]
) -> np.ndarray | None:
    if all(grid is None for grid in grids):
        return None
    return np.concatenate(
        [
            np.full(one.met.shape, None, object) if grid is None else grid
            for grid, one in zip(grids, pairs, strict=True)
        ]
    )
