"""How a script writes native histograms, and what a store of Prometheus would make of them.

`{{schema:1 sum:5 count:4 buckets:[1 2 1]}}`. Source: Prometheus
`docs/configuration/unit_testing_rules.md`, "series"; `tsdb/chunkenc/float_histogram.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tidegauge.errors import InvalidInput
from tidegauge.model.histogram import NO_BUCKETS, Buckets, Histogram, ResetHint
from tidegauge.promql.durations import parse_number
from tidegauge.promql.native.arithmetic import IncompatibleHistograms, add, subtract
from tidegauge.promql.native.resets import is_reset

_FIELD = re.compile(r"\s*([a-z_]+)\s*:\s*(\[[^\]]*\]|[^\s\[\]]+)\s*", re.ASCII)
_HINTS = {
    "unknown": ResetHint.UNKNOWN,
    "reset": ResetHint.RESET,
    "not_reset": ResetHint.NOT_RESET,
    "gauge": ResetHint.GAUGE,
}
_NUMBERS = frozenset({"schema", "sum", "count", "z_bucket", "z_bucket_w", "offset", "n_offset"})
_LISTS = frozenset({"buckets", "n_buckets", "custom_values"})


def parse_histogram(text: str) -> tuple[Histogram, bool]:
    """Return the histogram that stands between `{{` and `}}`, and whether a hint was written.

    Raises:
        InvalidInput: a field is unknown or has no usable value.
    """
    numbers: dict[str, float] = {}
    lists: dict[str, list[float]] = {}
    hint: ResetHint | None = None
    position = 0
    while position < len(text.rstrip()):
        found = _FIELD.match(text, position)
        if found is None:
            raise InvalidInput(f"{text[position:][:40]!r} is no field of a histogram")
        name, value = found.groups()
        if name in _NUMBERS and not value.startswith("["):
            numbers[name] = _number(value)
        elif name in _LISTS and value.startswith("["):
            lists[name] = [_number(one) for one in value[1:-1].split()]
        elif name == "counter_reset_hint" and value in _HINTS:
            hint = _HINTS[value]
        else:
            raise InvalidInput(f"{name}:{value} is no field of a histogram")
        position = found.end()
    return Histogram(
        schema=int(numbers.get("schema", 0)),
        count=numbers.get("count", 0.0),
        sum=numbers.get("sum", 0.0),
        zero_threshold=numbers.get("z_bucket_w", 0.0),
        zero_count=numbers.get("z_bucket", 0.0),
        positive=_buckets(lists.get("buckets", []), int(numbers.get("offset", 0))),
        negative=_buckets(lists.get("n_buckets", []), int(numbers.get("n_offset", 0))),
        bounds=tuple(lists.get("custom_values", [])),
        hint=hint or ResetHint.UNKNOWN,
    ), hint is not None


def step_histograms(first: Histogram, change: Histogram, sign: str, times: int) -> list[Histogram]:
    """Return a histogram and what it becomes by adding, or subtracting, another one so often.

    Raises:
        InvalidInput: the two cannot be combined.
    """
    if times and first.schema > change.schema:
        raise InvalidInput(
            f"error combining histograms: cannot merge from schema {change.schema} to "
            f"{first.schema}"
        )
    combine = add if sign == "+" else subtract
    found = [first]
    try:
        for _ in range(times):
            found.append(combine(found[-1], change).histogram)
    except IncompatibleHistograms as exc:
        raise InvalidInput(f"error combining histograms: {exc.message}") from exc
    return found


def store_hints(samples: Sequence[float | Histogram]) -> Iterator[float | Histogram]:
    """Yield the samples of a series with the hints that Prometheus's store gives back.

    It knows of no reset within a chunk, and of nothing at the start of one.
    """
    before: float | Histogram | None = None
    for sample in samples:
        if isinstance(sample, Histogram):
            yield sample.with_hint(_hint_after(before, sample))
        else:
            yield sample
        before = sample


def _hint_after(before: float | Histogram | None, one: Histogram) -> ResetHint:
    if one.hint is ResetHint.GAUGE:
        return ResetHint.GAUGE
    if not isinstance(before, Histogram) or before.hint is ResetHint.GAUGE:
        return ResetHint.UNKNOWN
    if one.is_stale:
        return ResetHint.NOT_RESET
    starts_anew = (
        one.hint is ResetHint.RESET
        or before.is_stale
        or one.schema != before.schema
        or one.zero_threshold != before.zero_threshold
        or one.bounds != before.bounds
        or is_reset(replace(one, hint=ResetHint.UNKNOWN), before)
    )
    return ResetHint.UNKNOWN if starts_anew else ResetHint.NOT_RESET


def _buckets(counts: list[float], offset: int) -> Buckets:
    if not counts:
        return NO_BUCKETS
    return Buckets(offset + np.arange(len(counts), dtype=np.int64), np.array(counts))


def _number(text: str) -> float:
    try:
        return parse_number(text)
    except ValueError as exc:
        raise InvalidInput(f"{text!r} is not a number") from exc
