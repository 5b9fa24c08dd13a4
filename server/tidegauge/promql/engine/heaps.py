"""Which of several equal samples topk and bottomk keep: those that Prometheus's heap keeps.

Without ties sorting gives the same answer much faster; with them the choice depends on how the
heap is laid out, so it is laid out in the same way here.
Source: Prometheus `engine.aggregationK`; Go `container/heap` and `sort`.
"""

from __future__ import annotations

import math

# Up to this length Go sorts by insertion; beyond it the order of equal elements is arbitrary.
_INSERTION_LENGTH = 12


def largest_on_heap(keys: list[float], wanted: int) -> list[int]:
    """Return the positions of the largest keys, in heap order; NaN is the first to go.

    Args:
        keys: the values, negated for the smallest ones.
        wanted: how many, at least 1.
    """
    heap: list[int] = []
    for position, key in enumerate(keys):
        if len(heap) < wanted:
            heap.append(position)
            _up(keys, heap)
        elif keys[heap[0]] < key or (math.isnan(keys[heap[0]]) and not math.isnan(key)):
            heap[0] = position
            _down(keys, heap)
    return heap


def rank_like_go(keys: list[float], positions: list[int]) -> list[int]:
    """Return the positions from the largest key to the smallest, NaN last.

    Equal keys come in the order in which Go's `sort.Sort` leaves them, where that is defined.
    """
    if len(positions) > _INSERTION_LENGTH:
        return sorted(positions, key=lambda position: (math.isnan(keys[position]), -keys[position]))
    ranked = list(positions)
    for end in range(1, len(ranked)):
        at = end
        while at and _less(keys[ranked[at - 1]], keys[ranked[at]]):
            ranked[at - 1], ranked[at] = ranked[at], ranked[at - 1]
            at -= 1
    return ranked


def _less(left: float, right: float) -> bool:
    return math.isnan(left) or left < right


def _up(keys: list[float], heap: list[int]) -> None:
    at = len(heap) - 1
    while at:
        parent = (at - 1) // 2
        if not _less(keys[heap[at]], keys[heap[parent]]):
            return
        heap[at], heap[parent] = heap[parent], heap[at]
        at = parent


def _down(keys: list[float], heap: list[int]) -> None:
    at = 0
    while (child := 2 * at + 1) < len(heap):
        right = child + 1
        if right < len(heap) and _less(keys[heap[right]], keys[heap[child]]):
            child = right
        if not _less(keys[heap[child]], keys[heap[at]]):
            return
        heap[at], heap[child] = heap[child], heap[at]
        at = child
