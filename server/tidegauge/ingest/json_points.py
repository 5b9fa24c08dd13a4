"""Decodes the body of `POST /api/v1/metrics`.

The usual list, every item right and every time in milliseconds, is decoded in one typed step; the
tags are left as text, under which the registry knows the series, and parsed only for one that is
not known. Anything else is looked at item by item, so that each bad one gets its own error.
Source: SPEC §2.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Annotated, Any

import msgspec
import numpy as np

from tidegauge.errors import InvalidInput, PayloadTooLarge
from tidegauge.ingest.admission import Incoming
from tidegauge.ingest.errors import RefusedSeries, Rejection
from tidegauge.ingest.label_rules import check_json_labels, shown
from tidegauge.ingest.registry import SeriesRegistry
from tidegauge.model.labels import Labels

_NO_TAGS = msgspec.Raw(b"{}")
# Outside what the constraint lets through: nobody can send it.
_NO_TIME = -1
_SPECIAL_VALUES = {"NaN": math.nan, "+Inf": math.inf, "-Inf": -math.inf}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_KNOWN_FIELDS = frozenset({"name", "value", "tags", "timestamp"})
# Times are compared with now afterwards; this only keeps them within int64.
_TIME_BOUND_MS = 2**53
# What an item may cost in memory is far more than its bytes when it is wrong, and two bytes long.
_MAX_BAD_POINTS = 100_000
_MAX_COMMAS = 2_000_000


class _UsualPoint(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    name: str
    value: float
    tags: msgspec.Raw = _NO_TAGS
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=_TIME_BOUND_MS)] = _NO_TIME


_usual_decoder = msgspec.json.Decoder(list[_UsualPoint])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_any_decoder = msgspec.json.Decoder()
_tags_decoder = msgspec.json.Decoder(dict[str, str])


def decode_points(
    body: bytes, registry: SeriesRegistry, *, now_ms: int, max_labels: int
) -> Incoming:
    """Return the points of a body; position is the index of a point in the list.

    Args:
        body: uncompressed.
        registry: what series are known.
        now_ms: the time of points that have none.
        max_labels: most labels of a series, its name included.
    Raises:
        InvalidInput: not JSON, or not a list.
    """
    points = _decode_usual(body)
    return _Reader(registry, now_ms, max_labels).read(points or _decode_items(body))


def _decode_usual(body: bytes) -> list[_UsualPoint]:
    try:
        return _usual_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


def _decode_items(body: bytes) -> list[_UsualPoint | RefusedSeries]:
    if body.count(b",") > _MAX_COMMAS:
        raise PayloadTooLarge(
            f"the body may hold more than {_MAX_COMMAS} values; send smaller requests"
        )
    try:
        items = _list_decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise InvalidInput(f"the body must be a list of points: {exc}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidInput(f"the body is not JSON: {exc}") from exc
    points: list[_UsualPoint | RefusedSeries] = []
    bad = 0
    for item in items:
        points.append(_decode_item(item))
        bad += isinstance(points[-1], RefusedSeries)
        if bad > _MAX_BAD_POINTS:
            raise InvalidInput(
                f"more than {_MAX_BAD_POINTS} points are wrong, and none was stored; "
                f"the first: {next(one for one in points if isinstance(one, RefusedSeries))}"
            )
    return points


def _decode_item(raw: msgspec.Raw) -> _UsualPoint | RefusedSeries:
    try:
        return _check_item(_decode_any(raw))
    except RefusedSeries as exc:
        return exc


def _decode_any(raw: bytes | msgspec.Raw) -> Any:
    try:
        return _any_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise RefusedSeries("bad_item", f"the item cannot be read: {exc}") from exc


def _check_item(item: Any) -> _UsualPoint:
    if not isinstance(item, dict):
        raise RefusedSeries("bad_item", f"an object is wanted, not {_describe(item)}")
    unknown = sorted(item.keys() - _KNOWN_FIELDS)
    if unknown:
        raise RefusedSeries(
            "unknown_field",
            f"there is no field {shown(unknown[0])}; known are name, value, tags, timestamp",
        )
    if "name" not in item or "value" not in item:
        missing = "name" if "name" not in item else "value"
        raise RefusedSeries("missing_field", f"field {missing!r} is missing")
    name = item["name"]
    if not isinstance(name, str):
        raise RefusedSeries("bad_name", f"name must be a string, not {_describe(name)}")
    return _UsualPoint(
        name,
        _check_value(item["value"]),
        _check_tags(item.get("tags")),
        _check_timestamp(item.get("timestamp")),
    )


def _check_value(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as exc:
            raise RefusedSeries("bad_value", "value is too large for a 64-bit float") from exc
    if isinstance(value, str) and value in _SPECIAL_VALUES:
        return _SPECIAL_VALUES[value]
    raise RefusedSeries(
        "bad_value", f'value must be a number, "NaN", "+Inf" or "-Inf", not {_describe(value)}'
    )


def _check_tags(tags: Any) -> msgspec.Raw:
    if tags is None:
        return _NO_TAGS
    if not isinstance(tags, dict):
        raise RefusedSeries("bad_tags", f"tags must be an object, not {_describe(tags)}")
    for key, value in tags.items():
        if not isinstance(value, str):
            raise RefusedSeries(
                "bad_tag_value",
                f"the value of tag {shown(key)} must be a string, not {_describe(value)}",
            )
    return msgspec.Raw(msgspec.json.encode(tags))


def _check_timestamp(timestamp: Any) -> int:
    if timestamp is None:
        return _NO_TIME
    if isinstance(timestamp, str):
        return _parse_rfc3339(timestamp)
    whole = isinstance(timestamp, int) or (isinstance(timestamp, float) and timestamp.is_integer())
    if isinstance(timestamp, bool) or not whole:
        raise RefusedSeries(
            "bad_timestamp",
            "timestamp must be whole Unix milliseconds or an RFC 3339 string, "
            f"not {_describe(timestamp)}",
        )
    if not 0 <= timestamp <= _TIME_BOUND_MS:
        raise RefusedSeries("time_out_of_range", f"time {timestamp} is out of range")
    return int(timestamp)


def _parse_rfc3339(text: str) -> int:
    try:
        moment = msgspec.convert(text, dt.datetime)
    except msgspec.ValidationError as exc:
        raise RefusedSeries("bad_timestamp", f"timestamp {shown(text)} is not RFC 3339") from exc
    if moment.tzinfo is None:
        raise RefusedSeries(
            "bad_timestamp", f"timestamp {shown(text)} has no time zone, such as Z or +02:00"
        )
    time_ms = (moment - _EPOCH) // _MILLISECOND
    if time_ms < 0:
        raise RefusedSeries("time_out_of_range", f"time {shown(text)} is out of range")
    return time_ms


def _describe(value: Any) -> str:
    return shown(msgspec.json.encode(value)) if value is not None else "null"


class _Reader:
    """Turns points into columns."""

    def __init__(self, registry: SeriesRegistry, now_ms: int, max_labels: int) -> None:
        self._registry, self._now_ms, self._max_labels = registry, now_ms, max_labels

    def read(self, points: list[_UsualPoint] | list[_UsualPoint | RefusedSeries]) -> Incoming:
        refused = {
            index: Rejection(index, point.code, point.message)
            for index, point in enumerate(points)
            if isinstance(point, RefusedSeries)
        }
        good = [point for point in points if isinstance(point, _UsualPoint)]
        positions = np.arange(len(points))
        if refused:
            positions = np.delete(positions, list(refused))
        forms = [(point.name, bytes(point.tags)) for point in good]
        known = self._registry.young_lookup()
        ids = np.zeros(len(points), np.int64)
        ids[positions] = np.fromiter((known(form, 0) for form in forms), np.int64, len(good))
        times_ms = np.fromiter((point.timestamp for point in good), np.int64, len(good))
        times_ms[times_ms == _NO_TIME] = self._now_ms
        values = np.fromiter((point.value for point in good), np.float64, len(good))
        incoming = Incoming(ids, positions, times_ms, values, refused=refused)
        for place in np.flatnonzero(ids[positions] == 0).tolist():
            self._identify(incoming, int(positions[place]), forms[place])
        return incoming

    def _identify(self, incoming: Incoming, position: int, form: tuple[str, bytes]) -> None:
        incoming.ids[position] = known = self._registry.find(form)
        if known:
            return
        try:
            incoming.labels[position] = self._parse(*form)
            incoming.forms[position] = form
        except RefusedSeries as exc:
            incoming.refused[position] = Rejection(position, exc.code, exc.message)

    def _parse(self, name: str, tags_text: bytes) -> Labels:
        try:
            tags = _tags_decoder.decode(tags_text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            # Rare: looked at again, for null or for words on what is wrong.
            tags = _tags_decoder.decode(_check_tags(_decode_any(tags_text)))
        return check_json_labels(name, tags, max_labels=self._max_labels)
