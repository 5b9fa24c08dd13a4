"""The face of the range functions: one call per function over all series and steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tidegauge.model.frame import SeriesFrame
from tidegauge.promql.kernels.reference import REFERENCES, Window
from tidegauge.promql.kernels.windows import Windows, find_edges, plan_edges

RANGE_FUNCTIONS = frozenset(REFERENCES)


def apply_range_function(
    name: str,
    frame: SeriesFrame,
    windows: Windows,
    params: tuple[np.ndarray, ...],
    check: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Apply a range function to every series and window.

    Args:
        name: one of RANGE_FUNCTIONS.
        frame: the samples, stale markers already dropped.
        windows: T windows.
        params: the scalar arguments, float64 of shape (T,) each.
        check: called between chunks of series; what it raises ends the work.
    Returns:
        values float64 (S, T), NaN where there is none; present bool (S, T).
    Source: promql.md §5 and §6.
    """
    series = len(frame.offsets) - 1
    values = np.full((series, windows.count), np.nan)
    present = np.zeros((series, windows.count), bool)
    if not windows.count or not len(frame.times_ms):
        return values, present
    reference = REFERENCES[name]
    plan = plan_edges(windows)
    ends, evals = windows.ends_ms.tolist(), windows.eval_ms.tolist()
    arguments = (
        list(zip(*(param.tolist() for param in params), strict=True)) or [()] * windows.count
    )
    for row in range(series):
        check()
        edges = find_edges(frame, plan.cuts_ms, row, row + 1)
        first, last = int(edges.min()), int(edges.max())
        times_ms = frame.times_ms[first:last].tolist()
        samples = frame.values[first:last].tolist()
        lefts = (plan.left(edges)[0] - first).tolist()
        rights = (plan.right(edges)[0] - first).tolist()
        for step, (left, right) in enumerate(zip(lefts, rights, strict=True)):
            if left < right:
                result = reference(
                    Window(
                        times_ms[left:right], samples[left:right],
                        ends[step] - windows.range_ms, ends[step], evals[step], arguments[step],
                    )
                )  # fmt: skip
                if result is not None:
                    values[row, step], present[row, step] = result, True
    return values, present
