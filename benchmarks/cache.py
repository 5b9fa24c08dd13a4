"""`python -m benchmarks.cache`: what a panel takes the first time, and from the cache."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

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
    print(
        f"{'panel':34}{'cache':12}{'body KiB':>10}{'first ms':>10}{'p50 ms':>9}{'p95 ms':>9}"
        f"{'read ms':>9}{'served':>9}"
    )
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
    path = f"{product.api_path}/api/v1/query_range"
    for title, query, step_s in PANELS:
        params = {"query": query, "start": end_s - HOURS * 3600, "end": end_s, "step": step_s}
        first_ms, asked_ms, size = ask(f"http://{product.address}{path}", params, repeats)
        read_ms = read_only(product.address, f"{path}?{urlencode(params)}", repeats)
        served_ms = served(product.data / "log/api.log", path, repeats)
        print(
            f"{title:34}{kind:12}{size / 1024:>10.0f}{first_ms:>10.1f}"
            f"{statistics.median(asked_ms):>9.2f}{sorted(asked_ms)[int(repeats * 0.95)]:>9.2f}"
            f"{statistics.median(read_ms):>9.2f}{statistics.median(served_ms):>9.2f}"
        )


def ask(url: str, params: Mapping[str, object], repeats: int) -> tuple[float, list[float], int]:
    """Ask with an ordinary client that unpacks; return first and later times, and the size."""
    times_ms, size = [], 0
    with requests.Session() as session:
        for _ in range(repeats + 1):
            before_s = time.perf_counter()
            answer = session.get(url, params=params, timeout=60)
            times_ms.append((time.perf_counter() - before_s) * 1000)
            assert answer.status_code == 200, answer.text[:500]
            size = len(answer.content)
    return times_ms[0], times_ms[1:], size


def read_only(address: str, target: str, repeats: int) -> list[float]:
    """Ask with a bare socket that reads the packed bytes and does nothing with them."""
    head = f"GET {target} HTTP/1.1\r\nHost: {address}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
    host, _, port = address.partition(":")
    buffer, times_ms = bytearray(1 << 20), []
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        for _ in range(repeats):
            before_s = time.perf_counter()
            connection.sendall(head)
            seen = b""
            while b"\r\n\r\n" not in seen:
                seen += connection.recv(4096)
            fields, _, body = seen.partition(b"\r\n\r\n")
            assert fields.startswith(b"HTTP/1.1 200"), fields
            length = re.search(rb"(?i)content-length: (\d+)", fields)
            assert length is not None, fields
            left = int(length[1]) - len(body)
            while left > 0:
                left -= connection.recv_into(buffer)
            times_ms.append((time.perf_counter() - before_s) * 1000)
    return times_ms


def served(log: Path, path: str, repeats: int) -> list[float]:
    """Return what the server says of the last requests: all of its own work but the sending."""
    lines = (json.loads(line) for line in log.read_bytes().splitlines() if b'"request"' in line)
    return [line["duration_ms"] for line in lines if line.get("path") == path][-repeats:]


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
