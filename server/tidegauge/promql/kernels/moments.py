"""Variance and least-squares lines, from counts, means and sums of squared distances.

The state of a stretch of samples is how many there are, their means, and the sums of products
of their distances from the means; two stretches are joined by Chan's formula, which does not
lose the small difference of large sums as Σx² - (Σx)²/n would.
"""

from __future__ import annotations

import numpy as np

from tidegauge.promql.kernels import reference
from tidegauge.promql.kernels.chunk import Chunk
from tidegauge.promql.kernels.doubling import State, combine_ranges, combine_slots, reduce_slots
from tidegauge.promql.kernels.points import Result
from tidegauge.promql.kernels.scalar import evaluate_where, find_overflowed


def stdvar_over_time(chunk: Chunk) -> Result:
    """Return the population variance of each window."""
    count, _, squares = _variance_state(chunk)
    variance = squares / count
    overflowed = find_overflowed(chunk, variance)
    evaluate_where(reference.stdvar_over_time, chunk, overflowed, variance)
    return variance, chunk.right > chunk.left


def stddev_over_time(chunk: Chunk) -> Result:
    """Return the population standard deviation of each window."""
    variance, present = stdvar_over_time(chunk)
    return np.sqrt(variance), present


def deriv(chunk: Chunk) -> Result:
    """Return the slope per second of the least-squares line of each window."""
    _, _, _, spread, shared = _line_state(chunk)
    slope = shared / spread * 1000
    present = chunk.right - chunk.left > 1
    evaluate_where(reference.deriv, chunk, find_overflowed(chunk, slope) & present, slope)
    return slope, present


def predict_linear(chunk: Chunk) -> Result:
    """Return what the line has the parameter's seconds after the evaluation."""
    _, mean_ms, mean, spread, shared = _line_state(chunk)
    slope = shared / spread * 1000
    ahead_s = (chunk.windows.eval_ms - chunk.windows.ends_ms[0] - mean_ms) / 1000
    values = mean + slope * (chunk.params[0] + ahead_s)
    present = chunk.right - chunk.left > 1
    overflowed = find_overflowed(chunk, values) & present & np.isfinite(chunk.params[0])
    evaluate_where(reference.predict_linear, chunk, overflowed, values)
    return values, present


def _variance_state(chunk: Chunk) -> State:
    samples = chunk.samples
    if not chunk.plan.slots:
        single = np.ones(len(samples)), samples, samples - samples
        lengths = chunk.right - chunk.left
        return combine_ranges(single, chunk.left, lengths, (0.0, 0.0, 0.0), _join_variances)
    count, pivot, distance = _slot_distances(chunk, chunk.values)
    total = reduce_slots(np.add, distance, chunk.edges, 0.0)
    squares = reduce_slots(np.add, distance * distance, chunk.edges, 0.0)
    mean_distance = total / np.maximum(count, 1)
    state = count, pivot + mean_distance, squares - total * mean_distance
    return combine_slots(state, chunk.plan, _join_variances)


def _join_variances(older: State, newer: State) -> State:
    (count_a, mean_a, squares_a), (count_b, mean_b, squares_b) = older, newer
    count = count_a + count_b
    share = count_b / np.maximum(count, 1)
    apart = mean_b - mean_a
    return (
        count,
        mean_a + apart * share,
        # The count first: an empty side must give 0 although its distance may be huge.
        squares_a + squares_b + count_a * share * apart * apart,
    )


def _line_state(chunk: Chunk) -> State:
    """Return count, mean time, mean, Σ of squared times and Σ of times by values, of distances.

    Times are ms since the end of the first window.
    """
    times = (chunk.times_ms - chunk.windows.ends_ms[0]).astype(np.float64)
    samples = chunk.samples
    if not chunk.plan.slots:
        nothing = np.zeros(len(samples))
        single = np.ones(len(samples)), times, samples, nothing, samples - samples
        lengths = chunk.right - chunk.left
        return combine_ranges(single, chunk.left, lengths, (0.0,) * 5, _join_lines)
    count, first_time, time = _slot_distances(chunk, np.append(times, 0.0))
    _, first, distance = _slot_distances(chunk, chunk.values)
    some = np.maximum(count, 1)
    mean_time = reduce_slots(np.add, time, chunk.edges, 0.0) / some
    total = reduce_slots(np.add, distance, chunk.edges, 0.0)
    spread = reduce_slots(np.add, time * time, chunk.edges, 0.0) - mean_time * mean_time * some
    shared = reduce_slots(np.add, time * distance, chunk.edges, 0.0) - mean_time * total
    state = count, first_time + mean_time, first + total / some, spread, shared
    return combine_slots(state, chunk.plan, _join_lines)


def _join_lines(older: State, newer: State) -> State:
    count_a, time_a, mean_a, spread_a, shared_a = older
    count_b, time_b, mean_b, spread_b, shared_b = newer
    count = count_a + count_b
    share = count_b / np.maximum(count, 1)
    time_apart, apart = time_b - time_a, mean_b - mean_a
    weighted = count_a * share * time_apart
    return (
        count,
        time_a + time_apart * share,
        mean_a + apart * share,
        spread_a + spread_b + weighted * time_apart,
        shared_a + shared_b + weighted * apart,
    )


def _slot_distances(chunk: Chunk, padded: np.ndarray) -> State:
    """Return the slots' counts and first elements (C, G - 1), and all distances from them (n + 1,).

    The first element of a slot is near the others, so that little is lost in the slot's own
    sums; and a slot of equal values has distances of exactly 0.
    """
    edges = chunk.edges.ravel()
    lengths = np.diff(edges, append=len(padded))
    firsts = padded.take(edges)
    distances = np.zeros(len(padded))
    begin = edges[0]
    np.subtract(padded[begin:], np.repeat(firsts, lengths), out=distances[begin:])
    grid = chunk.edges.shape
    count = lengths.reshape(grid)[:, :-1].astype(np.float64)
    first = firsts.reshape(grid)[:, :-1]
    np.copyto(first, 0.0, where=count == 0)
    return count, first, distances
