"""The set operators `and`, `or`, `unless`: per step, on the signatures of the series.

Source: promql.md §6 (MATCHING).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidegauge.promql import nodes
from tidegauge.promql.engine.matching import Signatures, any_by_signature
from tidegauge.promql.engine.vectors import histogram_grid, merge_equal, without_absent
from tidegauge.promql.value import Vector


def combine_sets(op: str, left: Vector, right: Vector, matching: nodes.VectorMatching) -> Vector:
    """Return the samples of both sides that the operator keeps.

    Raises:
        DuplicateLabelSet: `or` brings equal label sets together at one step.
    """
    signatures = Signatures(matching)
    left_ids, right_ids = signatures.ids(left.labels), signatures.ids(right.labels)
    if op == "or":
        taken = any_by_signature(left_ids, left.present, signatures.count)
        return merge_equal(
            without_absent(
                Vector(
                    left.labels + right.labels,
                    np.concatenate([left.values, right.values]),
                    np.concatenate([left.present, right.present & ~taken[right_ids]]),
                    np.concatenate([left.drop_name, right.drop_name]),
                    _join_histograms(left, right),
                )
            )
        )
    met = any_by_signature(right_ids, right.present, signatures.count)[left_ids]
    present = left.present & (met if op == "and" else ~met)
    return without_absent(replace(left, present=present))


def _join_histograms(left: Vector, right: Vector) -> np.ndarray | None:
    if left.histograms is None and right.histograms is None:
        return None
    return np.concatenate([histogram_grid(left), histogram_grid(right)])
