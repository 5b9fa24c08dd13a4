"""Query latency over the panel set, and over HTTP as Grafana asks."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from benchmarks.payloads import (
    Family,
    Request,
    counters,
    fleet_label_sets,
    gauges,
    remote_write_requests,
)
from benchmarks.products import PRODUCTS, Product
from benchmarks.sender import send_all

STEP_S = 15
HOURS = 24


@dataclass(frozen=True)
class Panel:
    """One request of the panel set."""

    title: str
    path: str
    params: dict[str, str | float]


def families() -> list[Family]:
    """Return a day of three metrics: 10 and 100 gauges, 1,000 counters."""
    rounds = HOURS * 3600 // STEP_S
    return [
        Family("panel_ten", fleet_label_sets(10, 1), gauges(rounds, 10, 1)),
        Family("panel_hundred", fleet_label_sets(100, 2), gauges(rounds, 100, 2)),
        Family("panel_thousand_total", fleet_label_sets(1000, 3), counters(rounds, 1000, 3)),
    ]


def panels(end_s: int) -> list[Panel]:
    """Return the panel set for a day that ends at end_s."""

    def over(hours: int, step_s: int, query: str) -> dict[str, str | float]:
        return {"query": query, "start": end_s - hours * 3600, "end": end_s, "step": step_s}

    return [
        Panel("10 series, 6 h, step 30 s", "query_range", over(6, 30, "panel_ten")),
        Panel("100 series, 24 h, step 60 s", "query_range", over(24, 60, "panel_hundred")),
        Panel(
            "1,000 series, 24 h, sum by (job) (rate [5m])",
            "query_range",
            over(24, 60, "sum by (job) (rate(panel_thousand_total[5m]))"),
        ),
        Panel("label values of instance", "label/instance/values", {}),
        Panel(
            "instant count, 1,000 series",
            "query",
            {"query": "count(panel_thousand_total)", "time": end_s},
        ),
    ]


def load_requests(product: Product, end_s: int) -> list[Request]:
    """Return the day as requests of 2,000 samples in time order."""
    rounds = HOURS * 3600 // STEP_S
    return list(
        remote_write_requests(
            families(),
            start_ms=(end_s - (rounds - 1) * STEP_S) * 1000,
            step_ms=STEP_S * 1000,
            samples=2000,
            host=product.address,
            path=product.write_path,
        )
    )


def measure(names: list[str], folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Load the same day into each product, then ask each panel of all of them in turn."""
    end_s = int(time.time()) // 60 * 60
    rows: list[dict[str, Any]] = []
    for name in names:
        with PRODUCTS[name](folder / name) as product:
            send_all(product.address, [load_requests(product, end_s)])
            for panel in panels(end_s):
                rows.append({"product": name, "panel": panel.title, **ask(product, panel, repeats)})
    return rows


def ask(product: Product, panel: Panel, repeats: int) -> dict[str, Any]:
    """Ask one panel several times over one connection; return the latencies' summary."""
    url = f"http://{product.address}{product.api_path}/api/v1/{panel.path}"
    session, times = requests.Session(), []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        answer = session.get(url, params={**panel.params, "nocache": "1"}, timeout=60)
        times.append(time.perf_counter() - started)
        assert answer.status_code == 200, answer.text[:500]
    data = answer.json()["data"]
    times = sorted(times[1:])
    return {
        "p50_ms": statistics.median(times) * 1000,
        "p95_ms": times[min(len(times) - 1, int(len(times) * 0.95))] * 1000,
        "results": len(data["result"] if isinstance(data, dict) else data),
    }
