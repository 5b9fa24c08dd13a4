"""`python -m benchmarks.cache`: what a panel takes the first time, and from the cache."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import requests

from benchmarks.payloads import Family, fleet_label_sets, gauges, remote_write_requests
from benchmarks.products import Product, tidegauge
from benchmarks.sender import send_all
from tests.support.redis import OwnRedis

STEP_S, HOURS = 15, 24
ROUNDS = HOURS * 3600 // STEP_S
PANELS = [
    ("10 series, 24 h, step 120 s", "panel_ten", 120),
    ("100 series, 24 h, step 60 s", "panel_hundred", 60),
    ("100 series, 24 h, sum by (job)", "sum by (job) (panel_hundred)", 60),
]


def main() -> None:
    """Measure in the process and with Redis, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100, help="times each panel is asked")
    repeats = parser.parse_args().repeats
    work = Path(tempfile.mkdtemp(prefix="tidegauge-bench-"))
    work.chmod(0o755)
    server = OwnRedis(work / "redis")
    print(f"{'panel':34}{'cache':12}{'body KiB':>10}{'first ms':>10}{'p50 ms':>9}{'p95 ms':>9}")
    try:
        server.start()
        for kind, settings in (("in process", {}), ("Redis", {"REDIS_URL": server.url})):
            with tidegauge(work / kind.replace(" ", "-"), settings) as product:
                measure(product, kind, repeats)
    finally:
        server.close()
        shutil.rmtree(work, ignore_errors=True)


def measure(product: Product, kind: str, repeats: int) -> None:
    """Load a day that ended an hour ago, and ask each panel over one connection."""
    end_s = int(time.time()) // 3600 * 3600 - 3600
    load(product, end_s)
    url = f"http://{product.address}{product.api_path}/api/v1/query_range"
    with requests.Session() as session:
        for title, query, step_s in PANELS:
            params = {
                "query": query,
                "start": end_s - HOURS * 3600,
                "end": end_s,
                "step": step_s,
            }
            times_ms, size = [], 0
            for _ in range(repeats + 1):
                before_s = time.perf_counter()
                answer = session.get(url, params=params, timeout=60)
                times_ms.append((time.perf_counter() - before_s) * 1000)
                assert answer.status_code == 200, answer.text[:500]
                size = len(answer.content)
            first, kept = times_ms[0], sorted(times_ms[1:])
            print(
                f"{title:34}{kind:12}{size / 1024:>10.0f}{first:>10.1f}"
                f"{statistics.median(kept):>9.2f}{kept[int(len(kept) * 0.95)]:>9.2f}"
            )


def load(product: Product, end_s: int) -> None:
    """Send a day of 10 and of 100 gauges."""
    families = [
        Family("panel_ten", fleet_label_sets(10, 1), gauges(ROUNDS, 10, 1)),
        Family("panel_hundred", fleet_label_sets(100, 2), gauges(ROUNDS, 100, 2)),
    ]
    payload = remote_write_requests(
        families,
        start_ms=(end_s - (ROUNDS - 1) * STEP_S) * 1000,
        step_ms=STEP_S * 1000,
        samples=2000,
        host=product.address,
        path=product.write_path,
    )
    send_all(product.address, [list(payload)])


if __name__ == "__main__":
    main()
