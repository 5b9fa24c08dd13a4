"""The set operators `and`, `or`, `unless`: per step, on the signatures of the series.

Source: promql.md §6 (MATCHING).
"""

from __future__ import annotations

import numpy as np

from tidegauge.promql import nodes
from tidegauge.promql.engine.matching import Signatures, any_by_signature
from tidegauge.promql.engine.vectors import merge_equal, without_absent
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
                )
            )
        )
    met = any_by_signature(right_ids, right.present, signatures.count)[left_ids]
    present = left.present & (met if op == "and" else ~met)
    return without_absent(Vector(left.labels, left.values, present, left.drop_name))
