"""Groups of series, indexed once per aggregation, and the walk through them in series order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tidegauge.model.labels import METRIC_NAME, Labels, drop_labels, keep_labels
from tidegauge.promql.value import Vector

CHUNK_CELLS = 1 << 14
_LONG_GROUP = 64
_FEW_CELLS = 16
_RANKS_PER_CHECK = 256


@dataclass(slots=True)
class Groups:
    """The groups of an aggregation.

    Args:
        labels: the label set of each of G groups, in order of appearance.
        ids: int64, shape (S,): the group of each series.
        order: int64, shape (S,): the series sorted by group, in series order within a group.
        starts: int64, shape (G + 1,): group g has the series order[starts[g]:starts[g + 1]].
        check: to be called now and then by what goes through the groups; what it raises ends
            the work.
    """

    labels: list[Labels]
    ids: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    check: Callable[[], None]

    @property
    def count(self) -> int:
        """How many groups there are (G)."""
        return len(self.labels)

    def rows(self, group: int) -> np.ndarray:
        """Return the series of one group, in series order."""
        return self.order[self.starts[group] : self.starts[group + 1]]


def group_series(
    label_sets: Sequence[Labels],
    names: Sequence[str],
    without: bool,
    check: Callable[[], None] = lambda: None,
) -> Groups:
    """Return the groups of `by (names)`, or of `without (names)`, which also drops the name."""
    ids_of: dict[Labels, int] = {}
    if without:
        dropped = frozenset(names) | {METRIC_NAME}
        keys = [drop_labels(labels, dropped) for labels in label_sets]
    elif names:
        kept = frozenset(names)
        keys = [keep_labels(labels, kept) for labels in label_sets]
    else:
        keys = [()] * len(label_sets)
    ids = np.array([ids_of.setdefault(key, len(ids_of)) for key in keys], np.int64)
    starts = np.zeros(len(ids_of) + 1, np.int64)
    np.cumsum(np.bincount(ids, minlength=len(ids_of)), out=starts[1:])
    return Groups(list(ids_of), ids, np.argsort(ids, kind="stable"), starts, check)


def is_thin(vector: Vector, groups: Groups) -> bool:
    """Return whether a rank walk would take very many passes over very small arrays.

    So it is at an instant with thousands of series in a group.
    """
    longest = int(np.diff(groups.starts).max(initial=0))
    return longest > _LONG_GROUP and vector.values.size < _FEW_CELLS * longest


class RankWalk:
    """Visits the first series of every group, then the second, and so on.

    Groups are taken in chunks small enough for the processor's cache, the largest first, so that
    the groups that still have a series are always the first ones of a chunk.
    """

    def __init__(self, vector: Vector, groups: Groups) -> None:
        self._vector, self._groups = vector, groups
        self._complete = bool(vector.present.all())

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield the groups of each chunk: int64."""
        by_size = np.argsort(-np.diff(self._groups.starts), kind="stable")
        width = max(1, CHUNK_CELLS // max(1, self._vector.values.shape[1]))
        for first in range(0, len(by_size), width):
            self._groups.check()
            yield by_size[first : first + width]

    def ranks(
        self, chunk: np.ndarray, absent: float
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """Yield, rank by rank, what the groups of a chunk have there.

        Args:
            absent: what stands where a sample is missing.
        Yields:
            how many groups n have a series of this rank; their values, float64 (n, T), not to be
            written to; and where they are present, bool (n, T), None for everywhere.
        """
        first = self._groups.starts[chunk]
        sizes = self._groups.starts[chunk + 1] - first
        vector, order = self._vector, self._groups.order
        for rank in range(int(sizes[0])):
            if rank % _RANKS_PER_CHECK == _RANKS_PER_CHECK - 1:
                self._groups.check()
            active = int(np.searchsorted(-sizes, -rank, side="left"))
            if active == 1:
                row = int(order[first[0] + rank])
                rows: slice | np.ndarray = slice(row, row + 1)
            else:
                rows = order[first[:active] + rank]
            values = vector.values[rows]
            if self._complete:
                yield active, values, None
            else:
                present = vector.present[rows]
                yield active, np.where(present, values, absent), present
