"""Requests that are small on the wire and would be large in memory are refused early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tidegauge.errors import InvalidInput, PayloadTooLarge
from tidegauge.ingest.errors import RefusedSeries
from tidegauge.ingest.json_points import decode_points
from tidegauge.ingest.label_rules import check_wire_labels
from tidegauge.ingest.registry import SeriesRegistry
from tidegauge.ingest.remote_write.decode import decode_request

from tests.support.wire import field, label_set, sample, write_request

COUNT = 5_000_000
NOW_MS = 1_763_900_000_000
REQUESTS = {
    "series": b"\x0a\x00" * COUNT,
    "series behind an odd field": b"\x08\x01" + b"\x0a\x00" * COUNT,
    "samples": field(1, b"\x12\x00" * COUNT),
    "labels": field(1, b"\x0a\x00" * COUNT),
    "exemplars": field(1, b"\x1a\x00" * COUNT),
    "metadata": b"\x1a\x00" * COUNT,
}
# A process of its own: what tests before it have used is no measure.
MEASURE = """
import pathlib, sys
from tidegauge.errors import InvalidInput
from tidegauge.ingest.registry import SeriesRegistry
from tidegauge.ingest.json_points import decode_points
from tidegauge.ingest.remote_write.decode import decode_request

def peak_kib():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

body, registry = pathlib.Path(sys.argv[1]).read_bytes(), SeriesRegistry(max_series=1000)
before = peak_kib()
try:
    if sys.argv[2] == "json":
        decode_points(body, registry, now_ms=0, max_labels=64)
    else:
        decode_request(body, registry)
except InvalidInput:
    print(peak_kib() - before)
"""


def measure_kib(body: bytes, kind: str, folder: Path) -> int:
    path = folder / "body"
    path.write_bytes(body)
    command = [sys.executable, "-c", MEASURE, str(path), kind]
    return int(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


@pytest.mark.parametrize("kind", REQUESTS)
def test_very_many_tiny_fields_are_refused_and_cost_little(kind: str, tmp_path: Path) -> None:
    with pytest.raises(PayloadTooLarge):
        decode_request(REQUESTS[kind], SeriesRegistry(max_series=1000))

    assert measure_kib(REQUESTS[kind], "remote write", tmp_path) < 100 * 1024


@pytest.mark.parametrize("item", [b"7", b"[]", b'{"name":1}'])
def test_very_many_wrong_points_are_refused_and_cost_little(item: bytes, tmp_path: Path) -> None:
    body = b"[" + b",".join([item] * (10_000_000 // (len(item) + 1))) + b"]"

    with pytest.raises(InvalidInput):
        decode_points(body, SeriesRegistry(max_series=1000), now_ms=NOW_MS, max_labels=64)

    assert measure_kib(body, "json", tmp_path) < 300 * 1024


def test_a_series_of_ten_thousand_labels_is_refused_alone() -> None:
    many = b"".join(field(1, field(1, b"l%d" % n) + field(2, b"v")) for n in range(10_000))
    good = write_request([({"__name__": "up"}, [(NOW_MS, 1.0)])])
    registry = SeriesRegistry(max_series=1000)

    columns = decode_request(field(1, label_set({"__name__": "up"}) + many) + good, registry)

    with pytest.raises(RefusedSeries) as caught:
        check_wire_labels(columns.labels[0], max_labels=64, max_value_bytes=100)
    assert caught.value.code == "too_many_labels"
    assert columns.labels[1] == ((b"__name__", b"up"),)


def test_a_request_of_many_ordinary_series_is_taken() -> None:
    body = field(1, label_set({"__name__": "up", "job": "a"}) + sample(1.0, NOW_MS)) * 30_000

    columns = decode_request(body, SeriesRegistry(max_series=1000))

    assert len(columns.times_ms) == 30_000
