"""The fast and the complete road of remote write give the same, whatever comes."""

from __future__ import annotations

import pytest
from tidegauge.errors import InvalidInput
from tidegauge.ingest.errors import RefusedSeries
from tidegauge.ingest.label_rules import check_wire_labels
from tidegauge.ingest.registry import SeriesRegistry
from tidegauge.ingest.remote_write.columns import RawLabels, WireColumns
from tidegauge.ingest.remote_write.complete import decode_complete
from tidegauge.ingest.remote_write.decode import decode_request
from tidegauge.ingest.remote_write.fast import decode_fast

from tests.unit.ingest.requests_at_random import RequestMaker

REQUESTS = 150


class Known:
    """A registry, and the label sets behind what it gives."""

    def __init__(self) -> None:
        self.registry = SeriesRegistry(max_series=10_000)
        self.labels: dict[int, object] = {}

    def learn(self, columns: WireColumns) -> None:
        for position, raw in columns.labels.items():
            labels = checked(raw)
            if isinstance(labels, tuple):
                packed = len(self.labels) + 1 << 32 | 1
                self.labels[packed] = labels
                self.registry.learn(columns.keys[position], packed)

    def normal_form(self, columns: WireColumns) -> object:
        series = [
            self.labels[packed] if packed else checked(columns.labels[position])
            for position, packed in enumerate(columns.ids.tolist())
        ]
        return (
            series,
            columns.positions.tolist(),
            columns.times_ms.tolist(),
            columns.values.view("u8").tolist(),
            columns.metadata,
            columns.exemplars,
            columns.histograms,
        )


def checked(raw: RawLabels) -> object:
    try:
        return check_wire_labels(raw, max_labels=12, max_value_bytes=64)
    except RefusedSeries as exc:
        return exc.message


def outcome(known: Known, decode, body: bytes) -> object:
    try:
        return known.normal_form(decode(body))
    except InvalidInput:
        return "invalid"


def assert_same(known: Known, body: bytes, seed: int) -> object:
    fast = outcome(known, lambda body: decode_request(body, known.registry), body)
    complete = outcome(known, lambda body: decode_complete(body, known.registry.find), body)
    assert fast == complete, f"seed {seed}, body {body.hex()}"
    return complete


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("odd", [0.0, 0.1, 0.5])
def test_random_requests_give_the_same_by_both_roads(seed: int, odd: float) -> None:
    maker, known = RequestMaker(seed), Known()
    decoded = 0

    for _ in range(REQUESTS):
        body = maker.request(odd=odd)
        decoded += assert_same(known, body, seed) != "invalid"
        known.learn(decode_request(body, known.registry))

    assert decoded == REQUESTS


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("odd", [0.0, 0.3])
def test_damaged_requests_give_the_same_or_are_refused_by_both_roads(seed: int, odd: float) -> None:
    maker, known = RequestMaker(seed), Known()
    refused = 0

    for _ in range(REQUESTS):
        body = maker.request(odd=odd)
        known.learn(decode_request(body, known.registry))
        for _ in range(4):
            refused += assert_same(known, maker.damaged(body), seed) == "invalid"

    assert 0 < refused < 4 * REQUESTS


@pytest.mark.parametrize("seed", range(8))
def test_bytes_at_random_give_the_same_by_both_roads(seed: int) -> None:
    maker, known = RequestMaker(seed), Known()
    body = maker.request(odd=0.2) or b"\x0a\x00"
    known.learn(decode_request(body, known.registry))

    for _ in range(REQUESTS):
        body = maker.damaged(body)
        assert_same(known, body, seed)


@pytest.mark.parametrize("seed", range(4))
def test_the_usual_request_of_known_series_leaves_nothing_to_the_complete_road(seed: int) -> None:
    maker, known = RequestMaker(seed), Known()

    for _ in range(REQUESTS):
        body = maker.request(odd=0.0)
        known.learn(decode_request(body, known.registry))
        part = decode_fast(body, known.registry)
        assert body == b"" or (part is not None and part.rest == b"" and not part.columns.keys)
