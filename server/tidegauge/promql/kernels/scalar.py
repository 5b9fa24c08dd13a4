"""From a cell of a chunk to the scalar references, and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.promql.kernels.chunk import Chunk
from tidegauge.promql.kernels.reference import Window

Reference = Callable[[Window], float | None]


def evaluate_cell(reference: Reference, chunk: Chunk, row: int, step: int) -> float | None:
    """Return the value of a function for one series and window; None where there is none."""
    chunk.check()
    left, right = int(chunk.left[row, step]), int(chunk.right[row, step])
    if left >= right:
        return None
    end_ms = int(chunk.windows.ends_ms[step])
    return reference(
        Window(
            chunk.times_ms[left:right].tolist(),
            chunk.values[left:right].tolist(),
            end_ms - chunk.windows.range_ms,
            end_ms,
            int(chunk.windows.eval_ms[step]),
            [float(param[step]) for param in chunk.params],
        )
    )


def find_overflowed(chunk: Chunk, result: np.ndarray) -> np.ndarray:
    """Return bool (C, T): where the result is not finite although all samples of its window are.

    With a NaN or an infinity among the samples any order of the arithmetic ends at the same;
    where finite numbers overflow on the way, it depends on the order.
    """
    suspect: np.ndarray = ~np.isfinite(result)
    if suspect.any():
        special = np.zeros(len(chunk.samples) + 1, np.int32)
        np.cumsum(~np.isfinite(chunk.samples), out=special[1:])
        suspect &= special.take(chunk.right) == special.take(chunk.left)
        suspect &= chunk.right > chunk.left
    return suspect


def evaluate_where(
    reference: Reference, chunk: Chunk, where: np.ndarray, result: np.ndarray
) -> None:
    """Put the reference's values into the chosen cells of a result."""
    for row, step in np.argwhere(where).tolist():
        value = evaluate_cell(reference, chunk, row, step)
        result[row, step] = np.nan if value is None else value


def evaluate_cells(reference: Reference, chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
    """Return a function's values float64 (C, T) and where they are, bool (C, T), cell by cell."""
    shape = len(chunk.edges), chunk.plan.windows
    values, present = np.full(shape, np.nan), np.zeros(shape, bool)
    for row, step in np.argwhere(chunk.right > chunk.left).tolist():
        result = evaluate_cell(reference, chunk, row, step)
        if result is not None:
            values[row, step], present[row, step] = result, True
    return values, present
