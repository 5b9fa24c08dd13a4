"""A real Prometheus scrapes, remote-writes into Tidegauge, and both answer the same queries."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from benchmarks.products import tidegauge
from tests.support.debian import ProgramMissing
from tests.support.servers import run_node_exporter, run_prometheus, wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

WATCHED_S = 75
SCRAPE_S = 2
RELATIVE_ERROR = 1e-9

CONFIG = """
global: {{scrape_interval: {scrape_s}s}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["{own}"]}}]
  - job_name: node
    static_configs: [{{targets: ["{node}"]}}]
remote_write:
  - url: http://{target}/prometheus/api/v1/write
    queue_config: {{batch_send_deadline: 1s}}
"""

QUERIES = [
    '{__name__=~".+"}',
    "increase(node_cpu_seconds_total[20s])",
    "irate(node_cpu_seconds_total[20s])",
    "sum by (mode) (rate(node_cpu_seconds_total[20s]))",
    "avg without (cpu) (rate(node_cpu_seconds_total[20s]))",
    "histogram_quantile(0.9, sum by (le, handler) "
    "(rate(prometheus_http_request_duration_seconds_bucket[30s])))",
    "histogram_quantile(0.5, prometheus_http_request_duration_seconds_bucket)",
    "topk(3, rate(node_cpu_seconds_total[30s]))",
    "bottomk(2, node_memory_MemFree_bytes)",
    "quantile by (job) (0.75, scrape_samples_scraped)",
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "node_filesystem_avail_bytes / on (device, mountpoint) group_left (fstype) "
    "node_filesystem_size_bytes",
    "up == 1 and on (job) scrape_duration_seconds > 0",
    'up or {__name__="scrape_samples_scraped"}',
    'scrape_samples_scraped unless on (job) up{job="node"}',
    "max_over_time(rate(node_cpu_seconds_total[10s])[30s:5s])",
    "avg_over_time(node_memory_MemFree_bytes[20s])",
    "stddev_over_time(go_goroutines[30s])",
    "quantile_over_time(0.5, go_memstats_alloc_bytes[30s])",
    "deriv(node_memory_MemFree_bytes[30s])",
    "predict_linear(node_memory_MemFree_bytes[30s], 3600)",
    "delta(node_memory_MemFree_bytes[20s])",
    "changes(go_goroutines[30s]) + resets(go_goroutines[30s])",
    'label_replace(up, "host", "$1", "instance", "(.*):.*")',
    'count_values("v", up)',
    "absent(no_such_metric)",
    "timestamp(up)",
    "up offset 10s",
    "time() - process_start_time_seconds",
    "round(scrape_duration_seconds, 0.001)",
    "clamp(node_load1, 0.1, 0.2)",
    "hour(timestamp(up)) + on () group_left () day_of_week()",
]


@dataclass(frozen=True)
class Pair:
    """Prometheus and Tidegauge with the same samples, and a time at which both are complete."""

    prometheus: str
    tidegauge: str
    end_ms: int


def ask(base: str, path: str, **params: Any) -> dict[str, Any]:
    answer = requests.post(f"{base}/api/v1/{path}", data=params, timeout=60)
    assert answer.status_code == 200, f"{base} {params}: {answer.status_code} {answer.text[:500]}"
    data: dict[str, Any] = answer.json()["data"]
    return data


def has_reached(base: str, time_ms: int) -> bool:
    """Return whether every target has a sample at or after this time."""
    result = ask(base, "query", query="min(timestamp(up))")["result"]
    return bool(result) and float(result[0]["value"][1]) * 1000 >= time_ms


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder: Path = tmp_path_factory.mktemp("peer")
    with contextlib.ExitStack() as stack:
        try:
            node = stack.enter_context(run_node_exporter(folder))
        except ProgramMissing as exc:
            pytest.skip(str(exc))
        ours = stack.enter_context(tidegauge(folder / "tidegauge"))
        # Prometheus scrapes itself, so its port has to be in the file before it starts.
        theirs = stack.enter_context(
            run_prometheus(
                folder / "prometheus",
                lambda own: CONFIG.format(
                    scrape_s=SCRAPE_S, own=own, node=node.address, target=ours.address
                ),
            )
        )
        base = f"http://{ours.address}/prometheus"
        watched_ms = int(time.time() * 1000) + WATCHED_S * 1000
        for product in (theirs.url, base):
            wait_until(
                functools.partial(has_reached, product, watched_ms),
                timeout_s=WATCHED_S + 60,
                every_s=0.5,
                what=f"{product} has samples of a whole minute",
            )
        yield Pair(theirs.url, base, choose_end_ms(theirs.url, watched_ms))


def choose_end_ms(base: str, watched_ms: int) -> int:
    """Return an end whose millisecond no sample shares.

    Prometheus 2 has windows closed on the left, version 3 and Tidegauge open ones: a sample
    exactly on an edge is in the one and not in the other. All edges here are whole seconds from
    the end, so an end at an unused millisecond has no sample on any edge.
    """
    frames = ask(base, "query", query='{__name__=~".+"}[5m]', time=watched_ms / 1000)["result"]
    used = {round(at * 1000) % 1000 for series in frames for at, _ in series["values"]}
    end_ms = watched_ms - 3000
    return next(end_ms - back for back in range(1000) if (end_ms - back) % 1000 not in used)


def by_labels(data: dict[str, Any]) -> dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]:
    """Return a matrix as label set → points."""
    return {
        tuple(sorted(series["metric"].items())): [
            (at, float(value)) for at, value in series["values"]
        ]
        for series in data["result"]
    }


def same(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or abs(left - right) <= RELATIVE_ERROR * max(abs(left), abs(right))


def test_every_sample_arrives_with_its_time_and_value(pair: Pair) -> None:
    params = {"query": '{__name__=~".+"}[50s]', "time": pair.end_ms / 1000}
    theirs = by_labels(ask(pair.prometheus, "query", **params))
    ours = by_labels(ask(pair.tidegauge, "query", **params))

    assert len(theirs) > 500
    assert ours.keys() == theirs.keys()
    different = [labels for labels in theirs if repr(theirs[labels]) != repr(ours[labels])]
    assert different == []


def test_rate_of_every_counter_is_what_prometheus_gives(pair: Pair) -> None:
    """Compare all counters that are older than the first window.

    At the birth of a series the versions differ: Prometheus 2 limits the extrapolation to where
    the counter was zero before it looks whether the window's start is near, version 3 after.
    """
    first_window_s = (pair.end_ms - 30_000 - 20_000) / 1000
    alive = ask(pair.prometheus, "query", query='{__name__=~".+_total"}', time=first_window_s)
    counters = {series["metric"]["__name__"] for series in alive["result"]}

    assert len(counters) > 100
    for name in sorted(counters):
        born_before = f"{name} offset 50s @ {pair.end_ms / 1000}"
        assert_same_over_range(
            pair, f"rate({name}[20s]) and ignoring (__name__) ({born_before})", may_be_empty=True
        )


@pytest.mark.parametrize("query", QUERIES)
def test_range_query_gives_what_prometheus_gives(pair: Pair, query: str) -> None:
    assert_same_over_range(pair, query)


def assert_same_over_range(pair: Pair, query: str, *, may_be_empty: bool = False) -> None:
    params = {
        "query": query,
        "start": (pair.end_ms - 30_000) / 1000,
        "end": pair.end_ms / 1000,
        "step": 5,
    }
    theirs = by_labels(ask(pair.prometheus, "query_range", **params))
    ours = by_labels(ask(pair.tidegauge, "query_range", **params))

    assert theirs or may_be_empty, "the query must find something to be worth asking"
    assert ours.keys() == theirs.keys()
    for labels, points in theirs.items():
        assert [at for at, _ in ours[labels]] == [at for at, _ in points], labels
        off = [
            (mine, other)
            for mine, other in zip(ours[labels], points, strict=True)
            if not same(mine[1], other[1])
        ]
        assert off == [], labels
