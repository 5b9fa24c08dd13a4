"""Duration expressions: their value, once per query.

Source: promql.md §6 (@/OFFSET); Prometheus `promql/durations.go`.
"""

from __future__ import annotations

import math

import numpy as np

from tidegauge.promql.engine.errors import BadDuration
from tidegauge.promql.kernels.elementwise import larger, smaller
from tidegauge.promql.nodes import Duration, DurationExpr, NumberLiteral

NS_PER_MS = 1_000_000
_GREATEST_S = 2**63 / 1e9


def whole_ms(duration_ns: int) -> int:
    """Return nanoseconds as milliseconds, cut off towards zero as Go does."""
    whole = abs(duration_ns) // NS_PER_MS
    return whole if duration_ns >= 0 else -whole


def resolve_duration_ns(expr: DurationExpr, *, step_ms: int, range_ms: int, negative: bool) -> int:
    """Return the value of a duration expression in nanoseconds, whole milliseconds of them.

    Args:
        step_ms, range_ms: what `step()` and `range()` are in this query.
        negative: whether zero and less is allowed (in an offset).
    Raises:
        BadDuration: it is not finite, out of range, not positive, or divides by zero.
    """
    value_s = _evaluate(expr, step_ms / 1000, range_ms / 1000)
    if not math.isfinite(value_s):
        raise _fault(expr, "duration is NaN or infinite")
    if value_s <= 0 and not negative:
        raise _fault(expr, "duration must be greater than 0")
    if abs(value_s) > _GREATEST_S:
        raise _fault(expr, "duration is out of range")
    return int(value_s * 1000) * NS_PER_MS


def _fault(expr: Duration, text: str) -> BadDuration:
    return BadDuration(f"{expr.span.start}:{expr.span.end}: {text}")


def _evaluate(expr: Duration, step_s: float, range_s: float) -> float:
    if isinstance(expr, NumberLiteral):
        return expr.value
    if expr.op == "step":
        return step_s
    if expr.op == "range":
        return range_s
    left = _evaluate(expr.left, step_s, range_s) if expr.left is not None else 0.0
    right = _evaluate(expr.right, step_s, range_s) if expr.right is not None else 0.0
    match expr.op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/" | "%" if right == 0:
            raise _fault(expr, "division by zero" if expr.op == "/" else "modulo by zero")
        case "/":
            return left / right
        case "%":
            return math.fmod(left, right)
        case "^":
            return float(np.power(left, right))
        case "min_of":
            return float(smaller(left, right))
        case _:
            return float(larger(left, right))
