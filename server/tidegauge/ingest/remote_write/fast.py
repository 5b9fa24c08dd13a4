"""The fast road: a request as senders usually write it, without an object per series.

A TimeSeries message is its label fields and then its samples. One Python loop steps over the
messages and asks the registry for the bytes before the last 18 (or 9) of each; then all times and
values are taken out at once. That these bytes are the label set, and nothing but it, is proven by
the registry: what it knows was once parsed in full. Messages with several samples, or of series
not known yet, are stepped through field by field. What has any other shape is left over for the
complete road, message by message.
Source: DESIGN §4; protobuf encoding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tidegauge.ingest.registry import SeriesRegistry
from tidegauge.ingest.remote_write import samples
from tidegauge.ingest.remote_write.columns import MAX_SERIES, WireColumns, too_many_series
from tidegauge.ingest.remote_write.complete import parse_label_fields

SERIES_TAG = 0x0A
_LABEL_TAG = 0x0A
_STRETCH_BYTES = 256 * 1024
_TAG_MASK, _LENGTH_DELIMITED = 0x87, 0x02
_SAMPLE_BYTES = {
    bytes((samples.TAG, samples.FULL_LENGTH)): samples.FULL_BYTES,
    bytes((samples.TAG, samples.ZERO_LENGTH)): samples.ZERO_BYTES,
}


@dataclass(slots=True)
class FastPart:
    """What the fast road made of a request.

    Args:
        columns: its series and samples, with a place for those that are left over.
        rest: these, as fields of a WriteRequest, in their order.
        rest_positions: the place of each TimeSeries message among them.
    """

    columns: WireColumns
    rest: bytes = b""
    rest_positions: list[int] = field(default_factory=list)


def walk(body: bytes, known: Callable[..., int]) -> tuple[list[int], list[int]] | None:
    """Step over the fields of a request.

    Args:
        body: a WriteRequest, uncompressed.
        known: `dict.get` of a registry's young generation.
    Returns:
        For each field: where it ends, and what the bytes before its last sample are known as
        (negative: before a sample without value; 0: not known). None where that cannot be said:
        a length of more than three bytes, or a field that is cut short.
    Raises:
        PayloadTooLarge: there are more fields than there may be series.
    """
    ends: list[int] = []
    ids: list[int] = []
    add_end, add_id = ends.append, ids.append
    at, size = 0, len(body)
    try:
        while at < size:
            # In stretches, to look up now and then: a field may be as short as two bytes.
            if len(ends) > MAX_SERIES:
                raise too_many_series()
            stretch_end = min(size, at + _STRETCH_BYTES)
            while at < stretch_end:
                length = body[at + 1]
                if length < 128:
                    at += 2
                else:
                    more = body[at + 2]
                    if more < 128:
                        length += (more << 7) - 128
                        at += 3
                    else:
                        last = body[at + 3]
                        if last > 127:
                            return None
                        length += (more << 7) + (last << 14) - 16512
                        at += 4
                end = at + length
                add_id(known(body[at : end - 18]) or -known(body[at : end - 9], 0))
                add_end(end)
                at = end
    except IndexError:
        return None
    return (ends, ids) if at == size else None


def decode_fast(body: bytes, registry: SeriesRegistry) -> FastPart | None:
    """Return what fits the fast road, and what is left over; None where nothing can be said.

    Raises:
        InvalidInput: a label field is not protobuf.
    """
    stepped = walk(body, registry.young_lookup())
    if not body or stepped is None:
        return None
    ends, found = np.array(stepped[0], np.int64), np.array(stepped[1], np.int64)
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1]
    octets = np.frombuffer(body, np.uint8)
    tags = octets[starts]
    # The loop took every field for one with a tag of one byte and a length.
    if (tags & _TAG_MASK != _LENGTH_DELIMITED).any():
        return None
    words = samples.words_of(body)
    zero = found < 0
    # A slice that would have started before its message, in a short one, proves nothing.
    cuts = ends - np.where(zero, samples.ZERO_BYTES, samples.FULL_BYTES)
    usual = (found != 0) & (tags == SERIES_TAG) & (cuts > starts + 4)
    if usual.all():
        usual = samples.are_samples(words, ends, zero)
    else:
        usual[usual] = samples.are_samples(words, ends[usual], zero[usual])
    if usual.all():
        return FastPart(
            WireColumns(
                ids=np.abs(found),
                positions=np.arange(len(ends)),
                times_ms=samples.take_times_ms(words, ends),
                values=samples.take_values(words, ends, zero),
            )
        )
    return decode_mixed(
        _Fields(body, words, starts, ends, found, usual, tags == SERIES_TAG), registry
    )


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of a request, of which only some are the usual ones."""

    body: bytes
    words: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    found: np.ndarray
    usual: np.ndarray
    is_series: np.ndarray


@dataclass(slots=True)
class _Stepped:
    """Samples found field by field, with the field that each belongs to, and the label sets."""

    ends: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    fields: list[int] = field(default_factory=list)
    keys: dict[int, bytes] = field(default_factory=dict)


def decode_mixed(fields: _Fields, registry: SeriesRegistry) -> FastPart:
    """Return the part of a request that has only samples in the two forms, and the rest.

    Raises:
        InvalidInput: a label field is not protobuf.
    """
    stepped = _Stepped()
    for index in np.flatnonzero(~fields.usual & fields.is_series).tolist():
        _step_through(
            fields.body, int(fields.starts[index]), int(fields.ends[index]), index, stepped
        )
    step_fields = np.array(stepped.fields, np.int64)
    step_ends = np.array(stepped.ends, np.int64)
    step_zero = np.array(stepped.sizes, np.int64) == samples.ZERO_BYTES
    wrong = step_fields[~samples.are_samples(fields.words, step_ends, step_zero)]
    for index in set(wrong.tolist()):
        del stepped.keys[index]
    taken = np.array(fields.usual)
    taken[list(stepped.keys)] = True
    ids = np.where(fields.usual, np.abs(fields.found), 0)
    place = np.cumsum(fields.is_series) - 1
    whole = np.flatnonzero(fields.usual)
    kept = taken[step_fields] if len(step_fields) else np.zeros(0, bool)
    owners = np.concatenate((whole, step_fields[kept]))
    # Stable: the samples of one message stay in their order.
    order = np.argsort(owners, kind="stable")
    ends = np.concatenate((fields.ends[whole], step_ends[kept]))[order]
    zero = np.concatenate((fields.found[whole] < 0, step_zero[kept]))[order]
    columns = WireColumns(
        ids=ids[fields.is_series],
        positions=place[owners[order]],
        times_ms=samples.take_times_ms(fields.words, ends),
        values=samples.take_values(fields.words, ends, zero),
    )
    for index, key in stepped.keys.items():
        _identify(columns, int(place[index]), key, registry)
    left = np.flatnonzero(~taken).tolist()
    rest = [fields.body[fields.starts[index] : fields.ends[index]] for index in left]
    return FastPart(
        columns, b"".join(rest), [int(place[index]) for index in left if fields.is_series[index]]
    )


def _step_through(body: bytes, start: int, end: int, index: int, stepped: _Stepped) -> None:
    """Note the label fields of one message and the ends of its samples, if it has no other."""
    at = start + 2
    while body[at - 1] > 127:
        at += 1
    labels_start = at
    while at < end and body[at] == _LABEL_TAG:
        length = body[at + 1] if at + 1 < end else end
        if length < 128:
            at += 2 + length
        elif at + 2 < end and body[at + 2] < 128:
            at += 3 + (length & 127) + (body[at + 2] << 7)
        else:
            return
    labels_end, sizes, ends = at, [], []
    while at < end:
        # One more byte than the last of the message may be read here; it is never believed.
        size = _SAMPLE_BYTES.get(body[at : at + 2], 0)
        at += size
        if not size or at > end:
            return
        sizes.append(size)
        ends.append(at)
    if at > end:
        return
    stepped.keys[index] = body[labels_start:labels_end]
    stepped.ends += ends
    stepped.sizes += sizes
    stepped.fields += [index] * len(ends)


def _identify(columns: WireColumns, position: int, key: bytes, registry: SeriesRegistry) -> None:
    columns.ids[position] = known = registry.find(key)
    if not known:
        columns.keys[position] = key
        columns.labels[position] = parse_label_fields(key)
