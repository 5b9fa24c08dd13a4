"""The series of a query's result, one after another, and their numbers as JSON."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import orjson

from tidegauge.model.labels import EMPTY_LABELS, Labels
from tidegauge.promql.value import Matrix, Result, Scalar, Vector

Series = tuple[Labels, np.ndarray, np.ndarray]
"""Labels, times (int64 Unix ms, shape (n,)) and values (float64, shape (n,))."""


def iterate_series(result: Result) -> Iterator[Series]:
    """Return each series that has a sample; a scalar is one without labels, a text none."""
    value, steps_ms = result.value, result.steps_ms
    if isinstance(value, Scalar):
        yield EMPTY_LABELS, steps_ms, value.values
    elif isinstance(value, Vector):
        for row, labels in enumerate(value.labels):
            present = value.present[row]
            if present.all():
                yield labels, steps_ms, value.values[row]
            elif present.any():
                yield labels, steps_ms[present], value.values[row][present]
    elif isinstance(value, Matrix):
        frame = value.frame
        for row, labels in enumerate(frame.labels):
            part = slice(frame.offsets[row], frame.offsets[row + 1])
            if part.stop > part.start:
                yield labels, frame.times_ms[part], frame.values[part]


def render_numbers(numbers: np.ndarray) -> list[bytes]:
    """Return each number as JSON; NaN and the infinities, which JSON has not, as null.

    Args:
        numbers: shape (n,), n at least 1.
    """
    contiguous = np.ascontiguousarray(numbers)
    return orjson.dumps(contiguous, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
