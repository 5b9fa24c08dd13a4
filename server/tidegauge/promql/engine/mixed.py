"""Binary operations of which at least one side is a native histogram, sample by sample.

Source: Prometheus `vectorElemBinop`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tidegauge.model.histogram import Histogram, ResetHint
from tidegauge.promql.native.arithmetic import (
    Combined,
    IncompatibleHistograms,
    add,
    divide,
    multiply,
    subtract,
)
from tidegauge.promql.native.notes import (
    Note,
    hints_collide,
    incompatible_layout,
    incompatible_types,
    inform,
    reconciled,
    warn,
)
from tidegauge.promql.native.trimming import trim
from tidegauge.promql.native.windows import Sample


@dataclass(frozen=True, slots=True)
class Combination:
    """What came of one operation.

    Args:
        sample: the result; None: there is none.
        keep: of a comparison, whether it holds.
        note: what the user should know.
    """

    sample: Sample | None = None
    keep: bool = False
    note: Note | None = None


def combine_samples(op: str, left: Sample, right: Sample) -> Combination:
    """Return an operation on two samples, at least one of them a histogram."""
    if isinstance(left, Histogram):
        if isinstance(right, Histogram):
            return _two_histograms(op, left, right)
        return _histogram_and_float(op, left, right)
    assert isinstance(right, Histogram)
    if op == "*":
        return Combination(multiply(right, left).compact(), True)
    return _refuse(op, "float", "histogram")


def negate(histograms: np.ndarray | None) -> np.ndarray | None:
    """Return histograms with everything negated: object, any shape."""
    if histograms is None:
        return None
    flat = [None if one is None else multiply(one, -1.0) for one in histograms.ravel()]
    negated = np.empty(len(flat), object)
    negated[:] = flat
    return negated.reshape(histograms.shape)


def _histogram_and_float(op: str, left: Histogram, right: float) -> Combination:
    if op == "*":
        return Combination(multiply(left, right).compact(), True)
    if op == "/":
        return Combination(divide(left, right).compact(), True)
    if op in ("</", ">/"):
        return Combination(trim(left, right, keep_below=op == "</"), True)
    return _refuse(op, "histogram", "float")


def _two_histograms(op: str, left: Histogram, right: Histogram) -> Combination:
    if op in ("==", "!="):
        return Combination(left, left.same_as(right) == (op == "=="))
    combine = _COMBINING.get(op)
    if combine is None:
        return _refuse(op, "histogram", "histogram")
    try:
        combined = combine(left, right)
    except IncompatibleHistograms:
        return Combination(note=warn(incompatible_layout(op)))
    word = "addition" if op == "+" else "subtraction"
    if combined.hints_collide:
        return Combination(note=warn(hints_collide(word)))
    result = combined.histogram.compact()
    if op == "-":
        result = result.with_hint(ResetHint.GAUGE)
    note = inform(reconciled(word)) if combined.bounds_reconciled else None
    return Combination(result, True, note)


def _refuse(op: str, left: str, right: str) -> Combination:
    return Combination(note=inform(incompatible_types(op, left, right)))


_COMBINING: dict[str, Callable[[Histogram, Histogram], Combined]] = {"+": add, "-": subtract}
