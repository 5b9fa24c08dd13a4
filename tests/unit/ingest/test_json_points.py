"""The body of `POST /api/v1/metrics`, point by point."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from tidegauge.errors import InvalidInput
from tidegauge.ingest.admission import Incoming
from tidegauge.ingest.json_points import decode_points
from tidegauge.ingest.registry import SeriesRegistry

NOW_MS = 1_763_900_000_000


@pytest.fixture
def registry() -> SeriesRegistry:
    return SeriesRegistry(max_series=1000)


def decode(points: object, registry: SeriesRegistry) -> Incoming:
    return decode_raw(msgspec.json.encode(points), registry)


def decode_raw(body: bytes, registry: SeriesRegistry) -> Incoming:
    return decode_points(body, registry, now_ms=NOW_MS, max_labels=10)


def codes(incoming: Incoming) -> dict[int, str]:
    return {index: one.code for index, one in incoming.refused.items()}


def test_points_become_columns_and_label_sets(registry) -> None:
    incoming = decode(
        [
            {"name": "cpu", "value": 1.5, "tags": {"host": "a"}, "timestamp": NOW_MS - 5},
            {"name": "mem", "value": 2},
        ],
        registry,
    )

    assert incoming.labels == {
        0: (("__name__", "cpu"), ("host", "a")),
        1: (("__name__", "mem"),),
    }
    assert incoming.times_ms.tolist() == [NOW_MS - 5, NOW_MS]
    assert incoming.values.tolist() == [1.5, 2.0]
    assert incoming.positions.tolist() == [0, 1]
    assert incoming.refused == {}


def test_known_series_come_with_their_ids_and_without_labels(registry) -> None:
    points = [{"name": "cpu", "value": 1, "tags": {"host": host}} for host in "ab"]
    for position, form in decode(points, registry).forms.items():
        registry.learn(form, position + 1 << 32 | 7)

    incoming = decode(points, registry)

    assert incoming.ids.tolist() == [1 << 32 | 7, 2 << 32 | 7]
    assert incoming.labels == {}


def test_the_same_tags_are_another_series_under_another_name(registry) -> None:
    first = decode([{"name": "cpu", "value": 1, "tags": {"a": "b"}}], registry)
    registry.learn(first.forms[0], 1 << 32 | 7)

    incoming = decode([{"name": "mem", "value": 1, "tags": {"a": "b"}}], registry)

    assert incoming.ids.tolist() == [0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (-0.5, -0.5), (1e300, 1e300), (2**63, 2.0**63), ("+Inf", math.inf)],
)
def test_values_that_are_right(value: object, expected: float, registry) -> None:
    incoming = decode([{"name": "m", "value": value}], registry)

    assert incoming.values.tolist() == [expected]


def test_special_values_stand_beside_numbers(registry) -> None:
    points = [{"name": "m", "value": value} for value in ["NaN", 1, "-Inf", "+Inf", 2.5]]

    incoming = decode(points, registry)

    np.testing.assert_array_equal(incoming.values, [np.nan, 1, -np.inf, np.inf, 2.5])


@pytest.mark.parametrize(
    "value", ["1", "nan", "Inf", "inf", "", None, True, [], {}, "-inf", 10**400]
)
def test_values_that_are_wrong(value: object, registry) -> None:
    body = msgspec.json.encode([{"name": "m", "value": 7}]).replace(
        b"7", str(value).encode() if type(value) is int else msgspec.json.encode(value)
    )

    assert set(codes(decode_raw(body, registry)).values()) <= {"bad_value", "bad_item"}
    assert len(codes(decode_raw(body, registry))) == 1


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (NOW_MS, NOW_MS),
        (float(NOW_MS), NOW_MS),
        (None, NOW_MS),
        (0, 0),
        ("2025-11-23T12:13:20Z", NOW_MS),
        ("2025-11-23T13:13:20.123456789+01:00", NOW_MS + 123),
        ("2025-11-23t12:13:20.5z", NOW_MS + 500),
    ],
)
def test_timestamps_that_are_right(timestamp: object, expected: int, registry) -> None:
    incoming = decode([{"name": "m", "value": 1, "timestamp": timestamp}], registry)

    assert codes(incoming) == {}
    assert incoming.times_ms.tolist() == [expected]


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        (NOW_MS + 0.5, "bad_timestamp"),
        (True, "bad_timestamp"),
        ("now", "bad_timestamp"),
        ("2025-11-23T12:13:20", "bad_timestamp"),
        ("2025-13-23T12:13:20Z", "bad_timestamp"),
        (str(NOW_MS), "bad_timestamp"),
        ([], "bad_timestamp"),
        (-1, "time_out_of_range"),
        (2**60, "time_out_of_range"),
        (2**70, "time_out_of_range"),
        ("1969-12-31T23:59:59Z", "time_out_of_range"),
    ],
)
def test_timestamps_that_are_wrong(timestamp: object, code: str, registry) -> None:
    body = msgspec.json.encode([{"name": "m", "value": 1, "timestamp": "T"}]).replace(
        b'"T"',
        str(timestamp).encode() if type(timestamp) is int else msgspec.json.encode(timestamp),
    )

    assert codes(decode_raw(body, registry)) == {0: code}


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (7, "bad_item"),
        ([], "bad_item"),
        (None, "bad_item"),
        ({"value": 1}, "missing_field"),
        ({"name": "m"}, "missing_field"),
        ({"name": 7, "value": 1}, "bad_name"),
        ({"name": "9m", "value": 1}, "bad_name"),
        ({"name": "m", "value": 1, "label": "x"}, "unknown_field"),
        ({"name": "m", "value": 1, "tags": []}, "bad_tags"),
        ({"name": "m", "value": 1, "tags": "a=b"}, "bad_tags"),
        ({"name": "m", "value": 1, "tags": {"a": 1}}, "bad_tag_value"),
        ({"name": "m", "value": 1, "tags": {"a-b": "1"}}, "bad_tag_key"),
    ],
)
@pytest.mark.parametrize("neighbour_value", [1, "NaN"])
def test_a_bad_item_is_refused_alone(item: object, code: str, neighbour_value, registry) -> None:
    good = {"name": "m", "value": neighbour_value}

    incoming = decode([good, item, good], registry)

    assert codes(incoming) == {1: code}
    assert sorted(incoming.labels) == [0, 2]
    assert incoming.refused[1].error


def test_tags_of_null_are_no_tags(registry) -> None:
    incoming = decode([{"name": "m", "value": 1, "tags": None}], registry)

    assert incoming.labels == {0: (("__name__", "m"),)}


def test_text_that_is_not_utf8_is_refused_alone(registry) -> None:
    body = b'[{"name":"m","value":1,"tags":{"a":"\xff"}},{"name":"m","value":1}]'

    incoming = decode_raw(body, registry)

    assert list(codes(incoming)) == [0]
    assert sorted(incoming.labels) == [1]


@pytest.mark.parametrize("body", [b"", b"{", b"[", b"[}", b"null", b"{}", b'"x"', b"7", b"\xff"])
def test_what_is_not_a_json_list_is_invalid(body: bytes, registry) -> None:
    with pytest.raises(InvalidInput):
        decode_raw(body, registry)


def test_an_empty_list_is_no_points(registry) -> None:
    assert len(decode_raw(b" [ ] ", registry).ids) == 0


def test_deep_nesting_is_refused_and_harmless(registry) -> None:
    depth = 100_000
    bomb = b'{"name":"m","value":1,"tags":' + b"[" * depth + b"]" * depth + b"}"

    try:
        refused = codes(decode_raw(b"[" + bomb + b"]", registry))
    except InvalidInput:
        refused = {0: "whole"}

    assert list(refused) == [0]
