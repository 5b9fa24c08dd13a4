"""A worker's memory before a queue of the largest requests: `-m benchmarks.worker_memory`."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.pipeline import stored_samples
from tests.support.servers import wait_until
from tests.support.stack import WORKERS, Stack

BODY_BYTES = 10 * 1024 * 1024
METRICS, HOSTS = 100, 100


def make_body(first_ms: int) -> tuple[bytes, int]:
    """Return a JSON request just below the limit, and how many points are in it."""
    points: list[str] = []
    size = 2
    while True:
        number = len(points)
        point = {
            "name": f"memory_{number % METRICS}",
            "value": number,
            "tags": {"host": f"host-{number // METRICS % HOSTS}"},
            "timestamp": first_ms + number,
        }
        points.append(json.dumps(point, separators=(",", ":")))
        size += len(points[-1]) + 1
        if size > BODY_BYTES:
            points.pop()
            return f"[{','.join(points)}]".encode(), len(points)


def peak_mib(pid: int) -> float:
    """Return the most that a process had in memory since it began."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Let requests wait in RabbitMQ, start one worker, and print its peak once all is stored."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidegauge-memory-"))
    folder.chmod(0o755)
    stack = Stack(folder / "stack", cache=False)
    try:
        stack.start()
        worker = WORKERS[0]
        print(f"idle: {peak_mib(stack.parts[worker].pid):.0f} MiB")
        for name in WORKERS:
            stack.parts[name].stop()
        body, points = make_body(time.time_ns() // 1_000_000 - 3_000_000)
        for _ in range(args.requests):
            answer = stack.send(body, {"Content-Type": "application/json"}, "/api/v1/metrics")
            assert answer.status_code == 202, answer.text
            assert answer.json()["accepted"] == points, answer.text[:500]
        waiting = stack.rabbitmq.ctl("list_queues", "name", "messages", "message_bytes")
        print(f"{args.requests} requests of {len(body):,} bytes, {points:,} points\n{waiting}")
        stack.restart(worker)
        wanted = args.requests * points
        wait_until(
            lambda: stored_samples(stack.postgres.url) >= wanted, timeout_s=600, what="all stored"
        )
        print(f"peak: {peak_mib(stack.parts[worker].pid):.0f} MiB")
    finally:
        stack.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
