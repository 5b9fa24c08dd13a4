"""What a stretch of a query's answer says of each label set of a rule. Pure; no loop over samples.

It must say the same as `alerts.evaluation` does of one evaluation after the other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from tidegauge.alerts.evaluation import MAX_ALERTS
from tidegauge.alerts.state import COMPARE, Seen
from tidegauge.errors import QueryFailed
from tidegauge.model.alerts import AlertRule, Policy
from tidegauge.model.labels import EMPTY_LABELS, Labels, drop_name
from tidegauge.promql.value import Result, Scalar, Value, Vector

SEEN = (Seen.FALSE, Seen.TRUE, Seen.UNKNOWN)
"""What the numbers of a grid mean."""

_FALSE, _TRUE, _UNKNOWN = range(3)


@dataclass(frozen=True, slots=True)
class Grid:
    """What each evaluation of a stretch saw of the label sets that matter.

    Args:
        labels: the K label sets that were bad at some time, or that were asked for.
        seen: uint8, shape (K, T): indices of SEEN.
        values: float64, shape (K, T); NaN where there was none.
        steps_ms: int64, shape (T,), Unix ms.
    """

    labels: list[Labels]
    seen: np.ndarray
    values: np.ndarray
    steps_ms: np.ndarray


def judge_grid(rule: AlertRule, result: Result, standing: Collection[Labels]) -> Grid:
    """Return what the evaluations of a range query saw.

    Args:
        rule: the rule.
        result: of its query, asked as of the rule's `query_offset_ms` before the evaluations.
        standing: label sets that are wanted in any case, since they stand somewhere.
    Raises:
        QueryFailed: it gives no numbers, two series differ by their metric only, or more label
            sets than MAX_ALERTS are bad at once.
    """
    # The query was asked as of earlier than the evaluation is.
    steps_ms = result.steps_ms + rule.query_offset_ms
    labels, values, present = _read_table(result.value, steps_ms)
    bad = COMPARE[rule.condition](values, rule.threshold) & present
    _check_count(bad, steps_ms, rule.limit or MAX_ALERTS)
    rows = np.flatnonzero(bad.any(axis=1)).tolist()
    at = {name: row for row, name in enumerate(labels)} if standing else {}
    there = {labels[row] for row in rows}
    rows += [at[name] for name in standing if name in at and name not in there]
    absent = [name for name in standing if name not in at]
    whole = rule.no_data is Policy.FIRE and EMPTY_LABELS not in there | set(standing)
    if whole:
        # That of the rule as a whole may come to be at any time.
        rows += [at[EMPTY_LABELS]] if EMPTY_LABELS in at else []
        absent += [] if EMPTY_LABELS in at else [EMPTY_LABELS]
    shape = (len(absent), len(steps_ms))
    chosen = [labels[row] for row in rows] + absent
    here = np.concatenate([present[rows], np.zeros(shape, bool)])
    seen = np.concatenate([bad[rows], np.zeros(shape, bool)]).astype(np.uint8)
    _judge_missing(rule, chosen, seen, here, np.any(present, axis=0))
    shown = np.where(here[: len(rows)], values[rows], np.nan)
    return Grid(chosen, seen, np.concatenate([shown, np.full(shape, np.nan)]), steps_ms)


def _judge_missing(
    rule: AlertRule, labels: list[Labels], seen: np.ndarray, here: np.ndarray, known: np.ndarray
) -> None:
    missing = _FALSE if rule.no_data is Policy.RESOLVE else _UNKNOWN
    seen[~here] = missing
    for row, name in enumerate(labels):
        if name == EMPTY_LABELS:
            # Over as soon as anything is known.
            seen[row, ~here[row] & known] = _FALSE
            if rule.no_data is Policy.FIRE:
                seen[row, ~known] = _TRUE


def _read_table(value: Value, steps_ms: np.ndarray) -> tuple[list[Labels], np.ndarray, np.ndarray]:
    if isinstance(value, Scalar):
        table = np.reshape(value.values, (1, -1))
        return [EMPTY_LABELS], table, np.ones(table.shape, bool)
    if not isinstance(value, Vector):
        raise QueryFailed("the query of an alert rule gives neither an instant vector nor a scalar")
    names = [drop_name(one) for one in value.labels]
    if len(set(names)) == len(names):
        return names, value.values, value.present
    return _merge(names, value, steps_ms)


def _merge(
    names: list[Labels], value: Vector, steps_ms: np.ndarray
) -> tuple[list[Labels], np.ndarray, np.ndarray]:
    """Put rows together whose series are the same without their metrics' names."""
    at = {name: row for row, name in enumerate(dict.fromkeys(names))}
    shape = (len(at), value.values.shape[1])
    values, present = np.full(shape, np.nan), np.zeros(shape, bool)
    for row, name in enumerate(names):
        into, there = at[name], value.present[row]
        twice = np.flatnonzero(present[into] & there)
        if len(twice):
            raise QueryFailed(
                f"two series of the query have the same labels without their metric names at "
                f"{int(steps_ms[twice[0]])} ms"
            )
        values[into, there] = value.values[row, there]
        present[into] |= there
    return list(at), values, present


def _check_count(bad: np.ndarray, steps_ms: np.ndarray, most: int) -> None:
    counts, most = bad.sum(axis=0), min(most, MAX_ALERTS)
    over = np.flatnonzero(counts > most)
    if len(over):
        raise QueryFailed(
            f"{counts[over[0]]} series are bad at {int(steps_ms[over[0]])} ms, and this rule fails "
            f"with more than {most}; aggregate them in the query"
        )
