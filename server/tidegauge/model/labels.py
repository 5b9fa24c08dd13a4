"""A label set: a tuple of (name, value) pairs, sorted by name, without empty values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Labels = tuple[tuple[str, str], ...]

METRIC_NAME = "__name__"
EMPTY_LABELS: Labels = ()


def make_labels(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Return the label set of these pairs, sorted; a label with an empty value does not exist."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return tuple(sorted((name, value) for name, value in items if value))


def find_label(labels: Labels, name: str) -> str:
    """Return the value of a label, or "" where the label is missing (the same thing in PromQL)."""
    for key, value in labels:
        if key == name:
            return value
    return ""


def keep_labels(labels: Labels, names: frozenset[str]) -> Labels:
    """Return only the named labels."""
    return tuple(pair for pair in labels if pair[0] in names)


def drop_labels(labels: Labels, names: frozenset[str]) -> Labels:
    """Return the label set without the named labels."""
    return tuple(pair for pair in labels if pair[0] not in names)


def drop_name(labels: Labels) -> Labels:
    """Return the label set without the metric name."""
    return tuple(pair for pair in labels if pair[0] != METRIC_NAME)
