"""Reducing windows of many samples without touching every sample for every window.

A reduction is a state (a tuple of arrays) and a way to combine the states of two neighbouring
stretches, the older one first. Nothing is ever subtracted, so that a NaN, an infinity or a huge
value stays in the windows that contain it, and sums are those of a balanced tree.

On a regular plan the samples between two cuts are reduced once, and k neighbouring spaces are
combined in about log2(k) passes over all steps (`combine_slots`). On an irregular plan the same
is done on the samples themselves, each window taking the power-of-two stretches that it is made
of (`combine_ranges`).
Source: promql.md §5, "slots + doubling".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.promql.kernels.chunk import Chunk
from tidegauge.promql.kernels.windows import EdgePlan

# Overlapping windows that visit every sample more often than this are better off doubling.
DIRECT_VISITS_PER_SAMPLE = 16

State = tuple[np.ndarray, ...]
Combine = Callable[[State, State], State]


def combine_slots(slots: State, plan: EdgePlan, combine: Combine) -> State:
    """Return the state of every window of a regular plan.

    Args:
        slots: arrays (series, G - 1 or more): the state of every space between cuts; an empty
            space has the state that changes nothing.
        plan: a regular plan.
        combine: joins two states of equal shape.
    Returns:
        Arrays (series, T).
    """
    span = (plan.windows - 1) * plan.stride + 1
    result: State | None = None
    width, taken = 1, 0
    while True:
        if plan.slots & width:
            piece = tuple(part[:, taken : taken + span : plan.stride] for part in slots)
            result = piece if result is None else combine(result, piece)
            taken += width
        if taken == plan.slots:
            return result if result is not None else slots
        slots = combine(
            tuple(part[:, :-width] for part in slots), tuple(part[:, width:] for part in slots)
        )
        width *= 2


def combine_ranges(
    samples: State,
    left: np.ndarray,
    lengths: np.ndarray,
    nothing: tuple[float, ...],
    combine: Combine,
) -> State:
    """Return the state of every range of samples, however the ranges lie.

    Args:
        samples: arrays (n,): the state of each sample.
        left: int64, any shape: where each range begins.
        lengths: int64, same shape: how many samples it has, 0 for none.
        nothing: the state of an empty range.
        combine: joins two states of equal shape.
    Returns:
        Arrays of the shape of `left`.
    """
    shape = left.shape
    at, remaining = left.ravel().copy(), lengths.ravel()
    result = tuple(
        np.full(at.shape, empty, part.dtype) for part, empty in zip(samples, nothing, strict=True)
    )
    longest = int(remaining.max(initial=0))
    width = 1
    while width <= longest:
        chosen = np.flatnonzero(remaining & width)
        if len(chosen):
            where = at[chosen]
            joined = combine(
                tuple(part[chosen] for part in result), tuple(part[where] for part in samples)
            )
            for part, new in zip(result, joined, strict=True):
                part[chosen] = new
            at[chosen] = where + width
        if 2 * width <= longest:
            samples = combine(
                tuple(part[:-width] for part in samples), tuple(part[width:] for part in samples)
            )
        width *= 2
    return tuple(part.reshape(shape) for part in result)


def reduce_slots(
    reduction: np.ufunc, padded: np.ndarray, edges: np.ndarray, nothing: float
) -> np.ndarray:
    """Return the reduction of the samples between each cut and the next.

    Args:
        reduction: np.add, np.fmax, np.fmin.
        padded: float64, shape (n + 1,): the last one belongs to no slot.
        edges: int64, shape (series, G), rising from series to series.
        nothing: the result for a slot without samples.
    Returns:
        float64, shape (series, G - 1).
    """
    reduced = reduction.reduceat(padded, edges.ravel()).reshape(edges.shape)[:, :-1]
    # An empty slot has got a sample that is not its own.
    np.copyto(reduced, nothing, where=edges[:, 1:] == edges[:, :-1])
    return reduced


def reduce_ranges(
    reduction: np.ufunc, padded: np.ndarray, left: np.ndarray, right: np.ndarray, nothing: float
) -> np.ndarray:
    """Return the reduction of each range of samples; the cost is the sum of their lengths.

    Args:
        reduction: np.add, np.fmax, np.fmin.
        padded: float64, shape (n + 1,): the last one belongs to no range.
        left, right: int64, any one shape: begin and end (exclusive) of each range.
        nothing: the result for an empty range.
    """
    pairs = np.empty((*left.shape, 2), np.int64)
    pairs[..., 0], pairs[..., 1] = left, right
    reduced: np.ndarray = reduction.reduceat(padded, pairs.ravel())[::2].reshape(left.shape)
    np.copyto(reduced, nothing, where=left >= right)
    return reduced


def add(older: State, newer: State) -> State:
    """Combine states of one part by adding."""
    return (older[0] + newer[0],)


def reduce_windows(
    reduction: np.ufunc, padded: np.ndarray, chunk: Chunk, nothing: float
) -> np.ndarray:
    """Return the reduction of every window, by the cheapest way for its plan and lengths.

    Args:
        reduction: np.add, np.fmax, np.fmin.
        padded: float64, shape (n + 1,): the chunk's values, or something made of them.
        chunk: the windows' edges.
        nothing: what the reduction leaves as it is, and the result of an empty window.
    Returns:
        float64, shape (C, T).
    """

    def combine(older: State, newer: State) -> State:
        return (reduction(older[0], newer[0]),)

    if chunk.plan.slots:
        slots = reduce_slots(reduction, padded, chunk.edges, nothing)
        return combine_slots((slots,), chunk.plan, combine)[0]
    left, right = chunk.left, chunk.right
    lengths = right - left
    if int(lengths.sum()) <= DIRECT_VISITS_PER_SAMPLE * len(padded):
        return reduce_ranges(reduction, padded, left, right, nothing)
    return combine_ranges((padded,), left, lengths, (nothing,), combine)[0]
