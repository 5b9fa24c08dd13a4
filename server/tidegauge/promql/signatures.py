"""The functions and aggregators of PromQL, and the types of what they take and give.

Source: promql.md §4; Prometheus 3.14 `promql/parser/functions.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegauge.promql.nodes import ValueType

UNBOUNDED = -1
"""As `Signature.variadic`: any number of further arguments."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives.

    Args:
        name: as it is written.
        args: the types of the arguments; the last one repeats where there may be more.
        variadic: 0 for exactly these arguments; else the last one is optional and may come up
            to this many times (`UNBOUNDED`: as often as one likes).
        returns: the type of the result.
        experimental: it must be switched on.
    """

    name: str
    args: tuple[ValueType, ...]
    variadic: int
    returns: ValueType
    experimental: bool = False


@dataclass(frozen=True, slots=True)
class AggregatorSignature:
    """What an aggregator takes.

    Args:
        name: as it is written, in lower case.
        param: the type of the parameter before the vector, None where it takes none.
        experimental: it must be switched on.
    """

    name: str
    param: ValueType | None = None
    experimental: bool = False


_TYPES = {
    "v": ValueType.VECTOR,
    "m": ValueType.MATRIX,
    "s": ValueType.SCALAR,
    "t": ValueType.STRING,
}

# Arguments, result, how often the last argument may come (see Signature), names; a dagger marks
# what is experimental. v is an instant vector, m a range vector, s a scalar, t a text.
_TABLE = (
    (
        "v", "v", 0,
        "abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor histogram_avg"
        " histogram_count histogram_stddev histogram_stdvar histogram_sum ln log10 log2 rad sgn"
        " sin sinh sort sort_desc sqrt start_timestamp† tan tanh timestamp",
    ),
    (
        "m", "v", 0,
        "absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta"
        " increase irate last_over_time mad_over_time† max_over_time min_over_time"
        " present_over_time rate resets stddev_over_time stdvar_over_time sum_over_time"
        " ts_of_first_over_time† ts_of_last_over_time† ts_of_max_over_time† ts_of_min_over_time†",
    ),
    (
        "v", "v", 1,
        "day_of_month day_of_week day_of_year days_in_month hour minute month year",
    ),
    ("", "s", 0, "pi time start† end† step† range†"),
    ("ss", "s", 0, "max_of† min_of†"),
    ("v", "s", 0, "scalar"),
    ("s", "v", 0, "vector"),
    ("vs", "v", 0, "clamp_max clamp_min"),
    ("vs", "v", 1, "round"),
    ("vss", "v", 0, "clamp"),
    ("sm", "v", 0, "quantile_over_time"),
    ("ms", "v", 0, "predict_linear"),
    ("mss", "v", 0, "double_exponential_smoothing†"),
    ("sv", "v", 0, "histogram_quantile"),
    ("vtss", "v", 9, "histogram_quantiles†"),
    ("ssv", "v", 0, "histogram_fraction"),
    ("vtttt", "v", 0, "label_replace"),
    ("vttt", "v", UNBOUNDED, "label_join"),
    ("vt", "v", UNBOUNDED, "sort_by_label† sort_by_label_desc†"),
    ("vv", "v", 1, "info†"),
)  # fmt: skip


def _functions() -> Iterator[Signature]:
    for args, returns, variadic, names in _TABLE:
        types = tuple(_TYPES[letter] for letter in args)
        for name in names.split():
            plain = name.rstrip("†")
            yield Signature(plain, types, variadic, _TYPES[returns], plain != name)


FUNCTIONS: dict[str, Signature] = {signature.name: signature for signature in _functions()}
"""All functions by name."""

AGGREGATORS: dict[str, AggregatorSignature] = {
    signature.name: signature
    for signature in (
        *map(
            AggregatorSignature, ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar"]
        ),
        AggregatorSignature("topk", ValueType.SCALAR),
        AggregatorSignature("bottomk", ValueType.SCALAR),
        AggregatorSignature("quantile", ValueType.SCALAR),
        AggregatorSignature("count_values", ValueType.STRING),
        AggregatorSignature("limitk", ValueType.SCALAR, experimental=True),
        AggregatorSignature("limit_ratio", ValueType.SCALAR, experimental=True),
    )
}
"""All aggregators by name."""
