"""Ingestion end to end: from the socket until every sample is acknowledged and can be queried."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from benchmarks.payloads import (
    Family,
    Request,
    counters,
    fleet_label_sets,
    gauges,
    json_requests,
    remote_write_requests,
    split_connections,
)
from benchmarks.products import PRODUCTS, Product
from benchmarks.resources import cpu_seconds, disk_usage, memory_bytes, watch_memory
from benchmarks.sender import send_all
from tests.support.servers import wait_until

SERIES, METRICS, CONNECTIONS = 10_000, 100, 4
STEP_MS = 15_000


def fleet(rounds: int) -> list[Family]:
    """Return 10,000 series of 100 metrics, half counters, half gauges."""
    each = SERIES // METRICS
    return [
        Family(
            f"bench_metric_{number:03d}" + ("_total" if number % 2 else ""),
            fleet_label_sets(each, number),
            (counters if number % 2 else gauges)(rounds, each, number),
        )
        for number in range(METRICS)
    ]


def stored_samples(product: Product, end_ms: int, span_s: int) -> int:
    """Ask the product how many samples it holds of the fleet."""
    query = f'sum(count_over_time({{__name__=~"bench_metric_.*"}}[{span_s}s]))'
    answer = requests.post(
        f"http://{product.address}{product.api_path}/api/v1/query",
        data={"query": query, "time": end_ms / 1000, "nocache": "1"},
        timeout=120,
    ).json()
    result = answer["data"]["result"] if answer.get("status") == "success" else []
    return int(float(result[0]["value"][1])) if result else 0


def measure_remote_write(name: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Send 10,000 series × rounds by remote write: 2,000 samples a request, 4 connections."""
    families = fleet(rounds)
    start_ms = int(time.time() * 1000) // STEP_MS * STEP_MS - rounds * STEP_MS
    with PRODUCTS[name](folder) as product:
        parts = split_connections(
            families,
            CONNECTIONS,
            lambda mine: remote_write_requests(
                mine,
                start_ms=start_ms,
                step_ms=STEP_MS,
                samples=2000,
                host=product.address,
                path=product.write_path,
            ),
        )
        disk_before = disk_usage(product.data)
        row = _send_measured(product, parts, warm_up=max(1, 2 * SERIES // CONNECTIONS // 2000))
        expected = rounds * SERIES
        end_ms = start_ms + rounds * STEP_MS
        asked = time.perf_counter()
        wait_until(
            lambda: stored_samples(product, end_ms, rounds * 15 + 60) == expected,
            timeout_s=60,
            every_s=0.1,
            what=f"{name} holds {expected} samples",
        )
        visible_s = time.perf_counter() - asked
        disk_after = disk_usage(product.data)
    return {
        **row,
        "visible_after_s": visible_s,
        "data_bytes_per_sample": (disk_after.data - disk_before.data) / expected,
        "log_bytes_per_sample": (disk_after.log - disk_before.log) / expected,
    }


def measure_json(name: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Send 10,000 series × rounds through the JSON API: 1,000 points a request, 4 connections."""
    families = fleet(rounds)
    start_ms = int(time.time() * 1000) // STEP_MS * STEP_MS - rounds * STEP_MS
    with PRODUCTS[name](folder) as product:
        parts = split_connections(
            families,
            CONNECTIONS,
            lambda mine: json_requests(
                mine, start_ms=start_ms, step_ms=STEP_MS, samples=1000, host=product.address
            ),
        )
        return _send_measured(product, parts, warm_up=3)


def _send_measured(
    product: Product, parts: Sequence[Sequence[Request]], *, warm_up: int
) -> dict[str, Any]:
    """Send all; the first requests of each connection make the series known and do not count."""
    send_all(product.address, [part[:warm_up] for part in parts])
    cpu_before, idle = cpu_seconds(product.pid), memory_bytes(product.pid)
    with watch_memory(product.pid) as peak:
        sent = send_all(product.address, [part[warm_up:] for part in parts])
        cpu = cpu_seconds(product.pid) - cpu_before
    assert not sent.refused, f"{product.name} refused requests, by status: {sent.refused}"
    return {
        "product": product.name,
        "samples": sent.samples,
        "seconds": sent.seconds,
        "samples_per_s": sent.rate,
        "cpu_us_per_sample": cpu / sent.samples * 1e6,
        "peak_memory_bytes": peak.bytes,
        "idle_memory_bytes": idle,
    }
