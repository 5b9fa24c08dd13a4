"""What is said of native histograms, where a query's user should know of it.

Source: Prometheus `util/annotations`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.promql.quoting import quote


@dataclass(frozen=True, slots=True)
class Note:
    """A warning or info that is still to get its place in the query.

    Args:
        text: what it says.
        is_warning: a warning, not an info.
        is_counted: how often it was said is told, too.
    """

    text: str
    is_warning: bool
    is_counted: bool = False


def warn(text: str) -> Note:
    """Return a warning."""
    return Note(text, True)


def inform(text: str) -> Note:
    """Return an info."""
    return Note(text, False)


def hints_collide(doing: str) -> str:
    """Return the warning about histograms of which some tell of a counter reset."""
    return f"conflicting counter resets during histogram {doing}"


def reconciled(doing: str) -> str:
    """Return the info about custom buckets of which only the common ones were kept."""
    return f"mismatched custom buckets were reconciled during {doing}"


def mixed_samples(metric: str) -> str:
    """Return the warning about a series with floats and histograms."""
    return f"encountered a mix of histograms and floats for metric name {quote(metric)}"


def mixed_schemas(metric: str) -> str:
    """Return the warning about histograms with exponential and with custom buckets."""
    return (
        "vector contains a mix of histograms with exponential and custom buckets schemas "
        f"for metric name {quote(metric)}"
    )


def incompatible_types(op: str, left: str, right: str) -> str:
    """Return the info about an operation that these types of samples do not have."""
    return (
        f"incompatible sample types encountered for binary operator {quote(op)}: "
        f"{left} {op} {right}"
    )


def incompatible_layout(op: str) -> str:
    """Return the warning about exponential and custom buckets on two sides of an operator."""
    return f"incompatible bucket layout encountered for binary operator {op}"


def no_counter(metric: str) -> str:
    """Return the warning about a gauge where a counter is wanted."""
    return f"this native histogram metric is not a counter: {quote(metric)}"


def no_gauge(metric: str) -> str:
    """Return the warning about a counter where a gauge is wanted."""
    return f"this native histogram metric is not a gauge: {quote(metric)}"


def overlapping_starts(metric: str) -> str:
    """Return the warning about a sample that began to count before the one before was taken."""
    return (
        "sample has start time that overlaps with previous sample timestamp "
        f"for metric {quote(metric)}"
    )


def ignored_in_range(metric: str) -> str:
    """Return the info about histograms left out of a range that has floats."""
    return (
        "ignored histograms in a range containing both floats and histograms "
        f"for metric name {quote(metric)}"
    )
