"""What a remote write request holds, as columns, before its series are known to be admitted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tidegauge.errors import PayloadTooLarge
from tidegauge.model.batch import MetricMetadata

# More than any sender puts in one request; a field of two bytes costs memory a hundredfold.
MAX_SERIES = 100_000

# The labels of one series as they came: names and values in bytes, in the order of the wire.
RawLabels = tuple[tuple[bytes, bytes], ...]


def too_many_series() -> PayloadTooLarge:
    """Return the error for a request over MAX_SERIES."""
    return PayloadTooLarge(
        f"the request holds more than {MAX_SERIES} series; send smaller requests"
    )


@dataclass(slots=True)
class WireColumns:
    """The series and samples of one request, in the order in which they stand on the wire.

    Args:
        ids: int64, shape (S,): for each TimeSeries message what the registry knows it as, 0 for
            a series that it does not know.
        keys: by position, the wire form of the label sets that are not known.
        labels: by position, these label sets, not checked yet.
        positions: int64, shape (N,), rising: the TimeSeries message of each sample.
        times_ms: int64, shape (N,), Unix ms.
        values: float64, shape (N,), bit-exact.
        metadata: what the sender said of its metrics.
        exemplars: how many came, and were not opened.
        histograms: how many native histograms came, and were not opened.
    """

    ids: np.ndarray
    positions: np.ndarray
    times_ms: np.ndarray
    values: np.ndarray
    keys: dict[int, bytes] = field(default_factory=dict)
    labels: dict[int, RawLabels] = field(default_factory=dict)
    metadata: tuple[MetricMetadata, ...] = ()
    exemplars: int = 0
    histograms: int = 0
