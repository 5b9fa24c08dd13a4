"""A steady load through the whole set, beside one process: `python -m benchmarks.pipeline`."""

from __future__ import annotations

import argparse
import http.client
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import requests

from benchmarks.payloads import fleet_label_sets
from benchmarks.resources import memory_bytes
from tests.support import wire
from tests.support.product import Up
from tests.support.servers import wait_until
from tests.support.stack import Stack

SERIES, METRICS, CONNECTIONS, SAMPLES = 10_000, 100, 4, 2000
PROBE_EVERY_S = 0.2
WRITE = "/prometheus/api/v1/write"
_STORED = "SELECT coalesce(sum(sample_count), 0) FROM arrivals"


class Template:
    """A remote write request whose times and values are exchanged instead of made anew.

    Args:
        label_sets: one for each sample, with `__name__`.
    """

    def __init__(self, label_sets: list[dict[str, str]], time_ms: int) -> None:
        # Varints of today's milliseconds are six bytes, so that every place stays where it is.
        tail = wire.sample(1.5, time_ms)
        parts = [wire.field(1, wire.label_set(labels) + tail) for labels in label_sets]
        ends = np.cumsum([len(part) for part in parts])
        self._body = np.frombuffer(b"".join(parts), np.uint8).copy()
        self._times = (ends - 6)[:, None] + np.arange(6)
        self._values = (ends - 15)[:, None] + np.arange(8)

    def fill(self, time_ms: int, values: np.ndarray) -> bytes:
        """Return a compressed request with this time and these values."""
        self._body[self._times] = np.frombuffer(wire.varint(time_ms), np.uint8)
        self._body[self._values] = values.astype("<f8").view(np.uint8).reshape(-1, 8)
        return wire.compress(self._body.tobytes())


@dataclass
class Load:
    """What a run came to.

    Args:
        acknowledged: samples.
        statuses: answers by status.
        lags_s: from the answer to a probe until a query shows it.
        depths: messages in the queue, once a second.
        memory: bytes by part, at the beginning, in the middle and at the end.
    """

    acknowledged: int = 0
    seconds: float = 0
    statuses: Counter[int] = field(default_factory=Counter)
    lags_s: list[float] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    memory: list[dict[str, int]] = field(default_factory=list)
    stored: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, status: int, samples: int) -> None:
        """Note one answer."""
        with self.lock:
            self.statuses[status] += 1
            self.acknowledged += samples if status < 300 else 0


def label_sets() -> list[dict[str, str]]:
    """Return 10,000 series of 100 metrics."""
    return [
        {"__name__": f"bench_metric_{number:03d}", **labels}
        for number in range(METRICS)
        for labels in fleet_label_sets(SERIES // METRICS, number)
    ]


def send_paced(
    address: str, headers: Mapping[str, str], load: Load, rate: float, seconds: float
) -> None:
    """Send at the rate in samples/s, over a few connections; rate 0: as fast as answers come."""
    series, first_ms = label_sets(), time.time_ns() // 1_000_000 - 1_800_000
    groups = [series[begin : begin + SAMPLES] for begin in range(0, SERIES, SAMPLES)]
    begin_s = time.monotonic()

    def run(index: int) -> None:
        templates = [Template(group, first_ms) for group in groups]
        random, number = np.random.default_rng(index), index
        connection = http.client.HTTPConnection(address, timeout=60)
        while (now_s := time.monotonic()) - begin_s < seconds:
            due_s = begin_s + number * SAMPLES / rate if rate else 0
            if due_s > now_s:
                time.sleep(due_s - now_s)
            turn, group = divmod(number, len(groups))
            body = templates[group].fill(first_ms + turn * 10, random.normal(50, 9, SAMPLES))
            connection.request("POST", WRITE, body, {**headers, **wire.HEADERS})
            answer = connection.getresponse()
            answer.read()
            load.count(answer.status, SAMPLES)
            number += CONNECTIONS
        connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.monotonic() - begin_s


def probe(base: str, headers: Mapping[str, str], load: Load, stop: threading.Event) -> None:
    """Write one series again and again, and note how long each value takes to be found."""
    with requests.Session() as session:
        session.headers.update(headers)
        number = 0
        while not stop.wait(PROBE_EVERY_S):
            number += 1
            point = [{"name": "probe", "value": float(number)}]
            status = session.post(f"{base}/api/v1/metrics", json=point, timeout=60).status_code
            load.count(status, 1)
            if status >= 300:
                continue
            begin_s = time.monotonic()
            while not _found(session, base, number) and not stop.is_set():
                time.sleep(0.01)
            load.lags_s.append(time.monotonic() - begin_s)


def _found(session: requests.Session, base: str, number: int) -> bool:
    query = f'probe{{fresh!="{time.monotonic_ns()}"}}'
    answer = session.post(f"{base}/prometheus/api/v1/query", data={"query": query}, timeout=60)
    if answer.status_code != 200:
        return False
    return any(float(one["value"][1]) >= number for one in answer.json()["data"]["result"])


def watch(product: Any, load: Load, stop: threading.Event, seconds: float) -> None:
    """Note memory three times and the depth of the queue every second."""
    pids = product.pids() if isinstance(product, Stack) else {"tidegauge up": product.pid}
    begin_s = time.monotonic()
    marks = [0.1 * seconds, 0.5 * seconds, 0.95 * seconds]
    while not stop.wait(1):
        if isinstance(product, Stack):
            load.depths.append(_queue_depth(product))
        if marks and time.monotonic() - begin_s >= marks[0]:
            marks.pop(0)
            load.memory.append({name: memory_bytes(pid) for name, pid in pids.items()})


def _queue_depth(stack: Stack) -> int:
    import pika

    with closing(pika.BlockingConnection(pika.URLParameters(stack.rabbitmq.url))) as connection:
        declared = connection.channel().queue_declare("metrics.ingest", passive=True)
        return int(declared.method.message_count)


def measure(product: Any, rate: float, seconds: float) -> Load:
    """Load a running product, and wait until all that was acknowledged is stored."""
    headers = product.headers if isinstance(product, Stack) else {}
    url = product.postgres.url if isinstance(product, Stack) else product.database_url()
    load, stop, before = Load(), threading.Event(), stored_samples(url)
    helpers = [
        threading.Thread(target=probe, args=(product.base, headers, load, stop)),
        threading.Thread(target=watch, args=(product, load, stop, seconds)),
    ]
    for helper in helpers:
        helper.start()
    try:
        send_paced(product.base.removeprefix("http://"), headers, load, rate, seconds)
    finally:
        stop.set()
        for helper in helpers:
            helper.join()
    wait_until(
        lambda: stored_samples(url) - before >= load.acknowledged,
        timeout_s=120,
        what="what was acknowledged is stored",
    )
    load.stored = stored_samples(url) - before
    if isinstance(product, Stack):
        product.check_alive()
    return load


def stored_samples(database_url: str) -> int:
    """Return how many samples lie in the database, repeated ones too."""
    with (
        closing(psycopg2.connect(database_url, connect_timeout=5)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(_STORED)
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def print_row(name: str, load: Load) -> None:
    """Print one run."""
    lags = np.array(load.lags_s or [float("nan")])
    print(
        f"{name:26}{load.acknowledged / load.seconds:>12,.0f}{load.acknowledged:>13,}"
        f"{load.stored:>13,}{np.percentile(lags, 50):>9.2f}{np.percentile(lags, 99):>9.2f}"
        f"{max(load.depths, default=0):>9}  {dict(load.statuses)}",
        flush=True,
    )
    for part in load.memory[0] if load.memory else ():
        steps = [at.get(part, 0) / 2**20 for at in load.memory]
        print(f"    {part:14} MiB " + " → ".join(f"{step:.0f}" for step in steps))


def main() -> None:
    """Measure the set and one process under the same load, and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rate", type=float, default=100_000, help="samples/s offered")
    parser.add_argument("--max-seconds", type=float, default=30, help="length without a pace")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-pipeline-"))
    folder.chmod(0o755)
    print(
        f"{'product':26}{'samples/s':>12}{'acked':>13}{'stored':>13}"
        f"{'lag p50':>9}{'p99 s':>9}{'queue':>9}  answers by status"
    )
    try:
        for name, product in (
            ("nginx, 2+2, RabbitMQ", Stack(folder / "stack")),
            ("tidegauge up", Up(folder / "up")),
        ):
            try:
                product.start()
                print_row(name, measure(product, args.rate, args.seconds))
                print_row(f"{name}, most", measure(product, 0, args.max_seconds))
            finally:
                product.close() if isinstance(product, Stack) else product.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("queue: most messages waiting; MiB: at 10, 50 and 95 % of the time")


if __name__ == "__main__":
    main()
