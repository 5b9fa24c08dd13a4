"""Decoding alone, on one core: the fast road of remote write beside the complete one, and JSON.

Run: `python -m benchmarks.decode`. It prints µs a sample, and a ratio to the complete road.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np
from tidegauge.config import IngestConfig
from tidegauge.ingest.decompress import decompress
from tidegauge.ingest.json_points import decode_points
from tidegauge.ingest.registry import SeriesRegistry
from tidegauge.ingest.remote_write.complete import decode_complete
from tidegauge.ingest.remote_write.decode import decode_request

from benchmarks.payloads import fleet_label_sets
from tests.support.wire import compress, field, label_set, sample

SERIES, POINTS = 2000, 1000
START_MS = 1_763_900_000_000
VARIANTS = 5
ROUNDS = 40
MAX_BYTES = IngestConfig().max_body_bytes


def label_sets(count: int) -> list[dict[str, str]]:
    """Return label sets of eleven labels, in metrics of a hundred series."""
    return [
        {"__name__": f"bench_metric_{number // 100:03d}_total", **labels}
        for number, labels in enumerate(fleet_label_sets(count, 3))
    ]


def remote_write_bodies(*, zeros: float, samples: int = 1, odd: float = 0.0) -> list[bytes]:
    """Return uncompressed requests of the same series.

    Args:
        zeros: the share of samples with the value zero.
        samples: how many a series has.
        odd: the share of series that carry an exemplar, which the fast road leaves over.
    """
    random = np.random.default_rng(1)
    prefixes = [label_set(labels) for labels in label_sets(SERIES // samples)]
    bodies = []
    for variant in range(VARIANTS):
        parts = []
        for prefix in prefixes:
            values = np.where(random.random(samples) < zeros, 0, random.normal(50, 9, samples))
            tail = b"".join(
                sample(float(value), START_MS + variant * 15_000 + at)
                for at, value in enumerate(values)
            )
            if random.random() < odd:
                tail += field(3, b"exemplar")
            parts.append(field(1, prefix + tail))
        bodies.append(b"".join(parts))
    return bodies


def json_body() -> bytes:
    """Return a list of points as the JSON API takes them."""
    points = [
        {
            "name": labels.pop("__name__"),
            "tags": labels,
            "value": number * 1.25,
            "timestamp": START_MS + number,
        }
        for number, labels in enumerate(label_sets(POINTS))
    ]
    return json.dumps(points, separators=(",", ":")).encode()


def best_us(work: Callable[[bytes], object], bodies: list[bytes], units: int) -> float:
    """Return the best time of one unit, in µs, over many rounds."""
    taken = []
    for number in range(ROUNDS):
        body = bodies[number % len(bodies)]
        before = time.perf_counter()
        work(body)
        taken.append(time.perf_counter() - before)
    return min(taken) / units * 1e6


def warm_registry(bodies: list[bytes]) -> SeriesRegistry:
    """Return a registry that knows all series of these requests."""
    registry = SeriesRegistry(max_series=250_000)
    for number, key in enumerate(decode_request(bodies[0], registry).keys.values()):
        registry.learn(key, number + 1 << 32 | 1)
    return registry


def remote_write_rows() -> list[tuple[str, float]]:
    """Measure remote write in several shapes."""
    usual = remote_write_bodies(zeros=0.1)
    registry = warm_registry(usual)
    packed = [compress(body) for body in usual]
    backlog = remote_write_bodies(zeros=0.1, samples=10)
    backlog_registry = warm_registry(backlog)
    mixed = remote_write_bodies(zeros=0.1, odd=0.02)
    empty = SeriesRegistry(max_series=1000)
    return [
        (
            "complete road, known series",
            best_us(lambda body: decode_complete(body, registry.find), usual, SERIES),
        ),
        (
            "fast road, known series",
            best_us(lambda body: decode_request(body, registry), usual, SERIES),
        ),
        (
            "fast road, 10 samples a series",
            best_us(lambda body: decode_request(body, backlog_registry), backlog, SERIES),
        ),
        (
            "fast road, 2 % with an exemplar",
            best_us(lambda body: decode_request(body, registry), mixed, SERIES),
        ),
        (
            "fast road, unknown series",
            best_us(lambda body: decode_request(body, empty), usual, SERIES),
        ),
        (
            "snappy",
            best_us(lambda body: decompress(body, "snappy", max_bytes=MAX_BYTES), packed, SERIES),
        ),
    ]


def json_row() -> tuple[str, float]:
    """Measure the JSON API's decoding with known series."""
    body = json_body()
    registry = SeriesRegistry(max_series=250_000)

    def decode(raw: bytes) -> object:
        return decode_points(raw, registry, now_ms=START_MS, max_labels=64)

    incoming = decode_points(body, registry, now_ms=START_MS, max_labels=64)
    for position, form in incoming.forms.items():
        registry.learn(form, position + 1 << 32 | 1)
    return "JSON, known series", best_us(decode, [body], POINTS)


def main() -> None:
    """Measure and print the table."""
    rows = [*remote_write_rows(), json_row()]
    complete_us = rows[0][1]
    print(f"{'':34}{'µs/sample':>10}{'M/s':>8}{'ratio':>8}")
    for name, us in rows:
        print(f"{name:34}{us:10.3f}{1 / us:8.2f}{complete_us / us:8.1f}")


if __name__ == "__main__":
    main()
