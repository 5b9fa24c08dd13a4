"""Walking through many windows at once, from left to right, one sample of each at a time.

For functions whose every value depends on the one before. The cost is that of the longest
window times the number of windows; use it where nothing shorter is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

STEPS_PER_CHECK = 64


def _never() -> None:
    pass


def longest_first(lengths: np.ndarray) -> np.ndarray:
    """Return the order that brings the windows with most samples to the front."""
    return np.argsort(-lengths, kind="stable")


def walk(
    samples: np.ndarray, left: np.ndarray, lengths: np.ndarray, check: Callable[[], None] = _never
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield, for each position in the windows, how many windows reach it and their samples there.

    Args:
        samples: float64, shape (n,).
        left: int64, shape (W,): where each window begins.
        lengths: int64, shape (W,), falling: how many samples each has.
        check: called now and then; what it raises ends the walk.
    Yields:
        The number of windows k, always the first ones, and float64 of shape (k,).
    """
    falling = -lengths
    for position in range(int(lengths[0]) if len(lengths) else 0):
        if position % STEPS_PER_CHECK == 0:
            check()
        reaching = int(falling.searchsorted(-position, side="left"))
        yield reaching, samples[left[:reaching] + position]


def add_compensated_ranges(
    samples: np.ndarray, left: np.ndarray, lengths: np.ndarray, check: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the left-to-right sum of each range and what rounding has lost in it.

    Args:
        samples: float64, shape (n,).
        left, lengths: int64, shape (W,).
        check: called now and then; what it raises ends the work.
    Returns:
        Two float64 arrays of shape (W,), equal to `reference.add_compensated` bit for bit.
    """
    order = longest_first(lengths)
    total, lost = np.zeros(len(left)), np.zeros(len(left))
    for reaching, terms in walk(samples, left[order], lengths[order], check):
        before = total[:reaching]
        raised = before + terms
        loss = np.where(
            np.abs(before) >= np.abs(terms), (before - raised) + terms, (terms - raised) + before
        )
        lost[:reaching] = np.where(np.isinf(raised), 0.0, lost[:reaching] + loss)
        total[:reaching] = raised
    unsorted = np.argsort(order)
    return total[unsorted], lost[unsorted]
