"""Compensated sums of groups: in series order, over all steps at once.

Source: promql.md §6 (AGGREGATE); Prometheus `util/kahansum`. Neumaier's correction is the exact
rounding error of each addition; it is computed here without branches (Knuth's two-sum).
"""

from __future__ import annotations

import math

import numpy as np

from tidegauge.promql.engine.grouping import Groups, RankWalk, is_thin
from tidegauge.promql.kernels.reference import Window, avg_over_time, sum_over_time
from tidegauge.promql.value import Vector

# Adding -0.0 changes nothing, not even the sign of a zero.
NEUTRAL = -0.0


def group_sums(vector: Vector, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of every group at every step, and what rounding lost of it.

    Returns:
        sums and lost, float64 (G, T): the exact sum is close to their sum where it is finite.
    """
    steps = vector.values.shape[1]
    sums = np.full((groups.count, steps), NEUTRAL)
    lost = np.zeros((groups.count, steps))
    if is_thin(vector, groups):
        _sum_cells(vector, groups, sums)
        return sums, lost
    walk = RankWalk(vector, groups)
    for chunk in walk.chunks():
        total, error = sums[chunk], lost[chunk]
        raised, part, rest = np.empty_like(total), np.empty_like(total), np.empty_like(total)
        for active, values, _ in walk.ranks(chunk, NEUTRAL):
            before, after = total[:active], raised[:active]
            added, missing = part[:active], rest[:active]
            np.add(before, values, out=after)
            np.subtract(after, before, out=added)
            np.subtract(after, added, out=missing)
            np.subtract(before, missing, out=missing)
            np.subtract(values, added, out=added)
            np.add(missing, added, out=missing)
            np.add(error[:active], missing, out=error[:active])
            np.copyto(before, after)
        sums[chunk], lost[chunk] = total, error
    return sums, lost


def _sum_cells(vector: Vector, groups: Groups, sums: np.ndarray) -> None:
    """Sum long groups at few steps one by one, where passes over tiny arrays would cost more."""
    for group in range(groups.count):
        groups.check()
        rows = groups.rows(group)
        for step in range(sums.shape[1]):
            values = vector.values[rows, step][vector.present[rows, step]].tolist()
            try:
                sums[group, step] = math.fsum(values) if values else NEUTRAL
            except (OverflowError, ValueError):  # an infinite partial sum, or Inf - Inf
                sums[group, step] = sum_over_time(_as_window(values))


def close_sums(sums: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Return the sums with what rounding lost; an infinite sum stays what it is."""
    return np.where(np.isinf(sums), sums, sums + lost)


def group_means(vector: Vector, groups: Groups, counts: np.ndarray) -> np.ndarray:
    """Return the mean of every group at every step.

    Args:
        counts: float64, shape (G, T): how many samples there are, at least 1.
    """
    sums, lost = group_sums(vector, groups)
    means = np.where(np.isinf(sums), sums, sums / counts + lost / counts)
    # Where the sum overflows the mean may still be a number.
    for group, step in np.argwhere(np.isinf(sums)).tolist():
        groups.check()
        rows = groups.rows(group)
        values = vector.values[rows, step][vector.present[rows, step]]
        means[group, step] = avg_over_time(_as_window(values.tolist()))
    return means


def _as_window(values: list[float]) -> Window:
    """Return the samples of a cell as the references for windows want them; they have no time."""
    return Window([], values, 0, 0, 0, ())
