"""Quantile and fraction of classic histograms, over all steps of one bucket group.

Source: Prometheus `promql/quantile.go` (BucketQuantile, BucketFraction), promql.md §6
(HISTQUANT); `histogram_reference` has the same for one step in plain Python.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidegauge.promql.kernels.histogram_reference import (
    SMALL_DELTA,
    bucket_quantile,
)

_LEAST_NORMAL = np.finfo(np.float64).tiny
_GREATEST = np.finfo(np.float64).max


@dataclass(frozen=True, slots=True)
class ClassicQuantile:
    """The quantile of one histogram at every step.

    Args:
        values: float64, shape (T,).
        present: bool, shape (T,): where the histogram has any bucket.
        forced: bool, shape (T,): where falling counts had to be raised; the next three are
            for the info about it and mean nothing elsewhere.
        least_bound, greatest_bound: float64, shape (T,): the bounds between which they fell.
        greatest_diff: float64, shape (T,): how far they fell at most.
    """

    values: np.ndarray
    present: np.ndarray
    forced: np.ndarray
    least_bound: np.ndarray
    greatest_bound: np.ndarray
    greatest_diff: np.ndarray


def classic_quantile(
    q: np.ndarray, bounds: np.ndarray, counts: np.ndarray, present: np.ndarray
) -> ClassicQuantile:
    """Return the q-quantile of a classic histogram at every step.

    Args:
        q: float64, shape (T,): below 0 gives -Inf, above 1 gives +Inf, NaN gives NaN.
        bounds: float64, shape (B,): the upper bounds (`le`), sorted; equal ones are added up.
        counts: float64, shape (B, T): how many observations are at or below the bound.
        present: bool, shape (B, T): where the bucket has a sample.
    Returns:
        NaN where the +Inf bucket is missing, there is only one bucket, or no observation.
    """
    steps = counts.shape[1]
    result = ClassicQuantile(
        np.full(steps, np.nan),
        np.logical_or.reduce(present, axis=0),
        np.zeros(steps, bool),
        np.full(steps, np.inf),
        np.full(steps, -np.inf),
        np.zeros(steps),
    )
    with np.errstate(all="ignore"):
        in_range = (q >= 0) & (q <= 1)
        result.values[:] = np.where(in_range | np.isnan(q), np.nan, np.copysign(np.inf, q))
        if not len(bounds) or not np.isposinf(bounds[-1]):
            return result
        bounds, counts, present = _coalesce(bounds, counts, present)
        answered = in_range & present[-1]
        fixed = _raise_falling(bounds, counts, present, answered, result)
        defined = answered & (present.sum(axis=0) > 1) & (fixed[-1] != 0)
        np.copyto(result.values, _interpolate(q, bounds, fixed, present), where=defined)
        # Only a binary search says which bucket NaN counts lead to: those steps one by one.
        odd = np.flatnonzero(answered & (np.isnan(counts) & present).any(axis=0))
    for step in odd.tolist():
        here = present[:, step]
        buckets = list(zip(bounds[here].tolist(), counts[here, step].tolist(), strict=True))
        result.values[step] = bucket_quantile(float(q[step]), buckets).value
    return result


def _coalesce(
    bounds: np.ndarray, counts: np.ndarray, present: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    starts = np.flatnonzero(np.concatenate([[True], bounds[1:] != bounds[:-1]]))
    if len(starts) == len(bounds):
        return bounds, counts, present
    summed = np.zeros((len(starts), counts.shape[1]))
    np.add.at(summed, np.searchsorted(bounds[starts], bounds), np.where(present, counts, 0.0))
    return bounds[starts], summed, np.logical_or.reduceat(present, starts, axis=0)


def _nearly_equal(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    total, difference = np.abs(left) + np.abs(right), np.abs(left - right)
    tiny = (left == 0) | (right == 0) | (total < _LEAST_NORMAL)
    near = np.where(
        tiny,
        difference < SMALL_DELTA * _LEAST_NORMAL,
        difference / np.minimum(total, _GREATEST) < SMALL_DELTA,
    )
    equal: np.ndarray = near | (left == right) | (np.isnan(left) & np.isnan(right))
    return equal


def _raise_falling(
    bounds: np.ndarray,
    counts: np.ndarray,
    present: np.ndarray,
    answered: np.ndarray,
    note: ClassicQuantile,
) -> np.ndarray:
    """Return the counts made to rise, and write down in the note where they did not.

    A missing bucket has the count of the present one before it, or -Inf if there is none: a
    search for a rank never ends there.
    """
    fixed = np.empty_like(counts)
    before = np.full(counts.shape[1], -np.inf)
    for index, bound in enumerate(bounds):
        current = counts[index]
        here = present[index]
        falls = here & (current < before) & ~_nearly_equal(before, current)
        fell = falls & answered
        if fell.any():
            note.forced[fell] = True
            np.copyto(note.least_bound, np.minimum(note.least_bound, bound), where=fell)
            np.copyto(note.greatest_bound, bound, where=fell)
            diff = np.maximum(note.greatest_diff, before - current)
            np.copyto(note.greatest_diff, diff, where=fell)
        keeps = ~here | falls | _nearly_equal(before, current)
        before = np.where(keeps, before, current)
        fixed[index] = before
    return fixed


def _interpolate(
    q: np.ndarray, bounds: np.ndarray, fixed: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """Return the quantile where the +Inf bucket, another one and observations are there."""
    steps = fixed.shape[1]
    rank = q * fixed[-1]
    start, start_count = np.zeros(steps), np.zeros(steps)
    end, end_count = np.full(steps, np.inf), np.full(steps, np.nan)
    found, passed_any = np.zeros(steps, bool), np.zeros(steps, bool)
    for bound, count, present_here in zip(bounds[:-1], fixed[:-1], present[:-1], strict=True):
        open_here = present_here & ~found
        hit = open_here & (count >= rank)
        passed = open_here & ~hit
        np.copyto(end, bound, where=hit)
        np.copyto(end_count, count, where=hit)
        np.copyto(start, bound, where=passed)
        np.copyto(start_count, count, where=passed)
        found |= hit
        passed_any |= passed
    values = start + (end - start) * ((rank - start_count) / (end_count - start_count))
    values = np.where(~passed_any & (end <= 0), end, values)
    # Nobody can say where in the +Inf bucket the quantile lies: the bound below stands for it.
    return np.where(found, values, start)


def classic_fraction(
    lower: np.ndarray,
    upper: np.ndarray,
    bounds: np.ndarray,
    counts: np.ndarray,
    present: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of a classic histogram's observations between two values at every step.

    Args:
        lower, upper: float64, shape (T,).
        bounds, counts, present: as of `classic_quantile`.
    Returns:
        values float64 (T,), NaN where the +Inf bucket or every observation is missing or a
        limit is NaN; present bool (T,).
    """
    steps = counts.shape[1]
    exists: np.ndarray = np.logical_or.reduce(present, axis=0)
    values = np.full(steps, np.nan)
    if not len(bounds) or not np.isposinf(bounds[-1]):
        return values, exists
    bounds, counts, present = _coalesce(bounds, counts, present)
    with np.errstate(all="ignore"):
        total = counts[-1]
        defined = present[-1] & (total != 0) & ~np.isnan(lower) & ~np.isnan(upper)
        below = _rank(upper, bounds, counts, present) - _rank(lower, bounds, counts, present)
        share = np.where(lower >= upper, 0.0, below / total)
    np.copyto(values, share, where=defined)
    return values, exists


def _rank(
    value: np.ndarray, bounds: np.ndarray, counts: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """Return how many observations are below a value at every step."""
    steps = counts.shape[1]
    first_bound = bounds[present.argmax(axis=0)]
    rank = np.zeros(steps)
    start = np.where(first_bound > 0, 0.0, -np.inf)
    result = counts[-1].copy()
    done = np.zeros(steps, bool)
    for bound, count, present_here in zip(bounds, counts, present, strict=True):
        open_here = present_here & ~done
        at_start = open_here & (start >= value)
        np.copyto(result, rank, where=at_start)
        inside = open_here & ~at_start & (bound > value)
        part = rank + (count - rank) * (value - start) / (bound - start)
        np.copyto(result, np.where(np.isneginf(start), count, part), where=inside)
        done |= at_start | inside
        np.copyto(rank, count, where=present_here)
        np.copyto(start, bound, where=present_here)
    capped: np.ndarray = np.where(result > counts[-1], counts[-1], result)
    return capped
