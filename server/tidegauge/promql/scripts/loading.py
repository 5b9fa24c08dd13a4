"""The series that a script loads, as a store gets them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tidegauge.model.histogram import Histogram
from tidegauge.model.labels import METRIC_NAME, Labels, find_label, make_labels
from tidegauge.promql.durations import parse_float
from tidegauge.promql.native.conversion import convert_classic

_CLASSIC_SUFFIXES = ("_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True)
class LoadedSeries:
    """A series that a script loads.

    Args:
        labels: its labels.
        times_ms: int64, shape (n,), rising.
        values: float64, shape (n,); of a histogram its sum.
        histograms: shape (n,): a histogram where the sample is one.
        starts_ms: shape (n,): when the counter behind the sample began, 0 where it is unknown.
    """

    labels: Labels
    times_ms: np.ndarray
    values: np.ndarray
    histograms: Sequence[Histogram | None]
    starts_ms: Sequence[int]


@dataclass(slots=True)
class _Classic:
    """A classic histogram at one time."""

    buckets: dict[float, float] = field(default_factory=dict)
    count: float | None = None
    total: float = 0.0


def place_samples(
    labels: Labels,
    samples: Sequence[tuple[int, float | Histogram]],
    starts_ms: Sequence[int] = (),
) -> LoadedSeries:
    """Return a series of samples with their times in ms, and their starts where there are any."""
    histograms = [one if isinstance(one, Histogram) else None for _, one in samples]
    values = [one.sum if isinstance(one, Histogram) else one for _, one in samples]
    times_ms = np.array([time_ms for time_ms, _ in samples], np.int64)
    return LoadedSeries(
        labels, times_ms, np.array(values, np.float64), histograms, starts_ms or [0] * len(samples)
    )


def convert_series(series: Sequence[LoadedSeries]) -> list[LoadedSeries]:
    """Return the native histograms with custom buckets that the classic ones among them make."""
    found: dict[Labels, dict[int, _Classic]] = {}
    for one in series:
        _collect(one, found)
    converted = []
    for labels, by_time in found.items():
        samples: list[tuple[int, float | Histogram]] = []
        for time_ms in sorted(by_time):
            classic = by_time[time_ms]
            histogram = convert_classic(classic.buckets, count=classic.count, total=classic.total)
            if histogram is not None:
                samples.append((time_ms, histogram))
        converted.append(place_samples(labels, samples))
    return converted


def _collect(series: LoadedSeries, found: dict[Labels, dict[int, _Classic]]) -> None:
    name = find_label(series.labels, METRIC_NAME)
    suffix = next((one for one in _CLASSIC_SUFFIXES if name.endswith(one)), "")
    bound = math.nan
    if suffix == "_bucket":
        try:
            bound = parse_float(find_label(series.labels, "le"))
        except ValueError:
            return
    if not suffix or (suffix == "_bucket" and math.isnan(bound)):
        return
    kept = dict(series.labels) | {METRIC_NAME: name.removesuffix(suffix)}
    kept.pop("le", None)
    by_time = found.setdefault(make_labels(kept), {})
    for time_ms, value in zip(series.times_ms.tolist(), series.values.tolist(), strict=True):
        classic = by_time.setdefault(time_ms, _Classic())
        if suffix == "_bucket":
            classic.buckets.setdefault(bound, value)
        elif suffix == "_count":
            classic.count = value
        else:
            classic.total = value
