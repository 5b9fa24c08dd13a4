"""From the bytes of a remote write request to columns: the fast road where it leads, or the other.

Both give the same columns for the same request; tests hold them against each other.
"""

from __future__ import annotations

import numpy as np

from tidegauge.ingest.registry import SeriesRegistry
from tidegauge.ingest.remote_write.columns import WireColumns
from tidegauge.ingest.remote_write.complete import decode_complete
from tidegauge.ingest.remote_write.fast import decode_fast


def decode_request(body: bytes, registry: SeriesRegistry) -> WireColumns:
    """Return the columns of a remote write 1.0 request.

    Args:
        body: a WriteRequest, uncompressed.
        registry: what series are known.
    Raises:
        InvalidInput: it is not a WriteRequest.
    """
    part = decode_fast(body, registry)
    if part is None:
        return decode_complete(body, registry.find)
    if not part.rest:
        return part.columns
    rest = decode_complete(part.rest, registry.find)
    return _merge(part.columns, rest, part.rest_positions)


def _merge(columns: WireColumns, rest: WireColumns, rest_positions: list[int]) -> WireColumns:
    place = np.array(rest_positions, np.int64)
    columns.ids[place] = rest.ids
    positions = np.concatenate((columns.positions, place[rest.positions]))
    order = np.argsort(positions, kind="stable")
    return WireColumns(
        ids=columns.ids,
        positions=positions[order],
        times_ms=np.concatenate((columns.times_ms, rest.times_ms))[order],
        values=np.concatenate((columns.values, rest.values))[order],
        keys=columns.keys | {rest_positions[index]: key for index, key in rest.keys.items()},
        labels=columns.labels | {rest_positions[index]: raw for index, raw in rest.labels.items()},
        metadata=rest.metadata,
        exemplars=rest.exemplars,
        histograms=rest.histograms,
    )
