"""The stale marker: a NaN with bits of its own that says a series has ended.

Source: Prometheus `model/value/value.go`. Compare bits, never values; arithmetic turns the
marker into another NaN, copies and takes keep it.
"""

from __future__ import annotations

import numpy as np

STALE_BITS = 0x7FF0000000000002
STALE_NAN: np.ndarray = np.array([STALE_BITS], dtype=np.uint64).view(np.float64)


def is_stale(values: np.ndarray) -> np.ndarray:
    """Return bool, same shape as float64 `values` (contiguous): where a stale marker stands."""
    found: np.ndarray = values.view(np.uint64) == np.uint64(STALE_BITS)
    return found
