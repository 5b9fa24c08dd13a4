"""A small believable fleet: six hosts, a service with a bad deploy, a disk that runs full."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

Labels = tuple[tuple[str, str], ...]
GIB = 1024**3

HOSTS = ("web-1", "web-2", "web-3", "api-1", "api-2", "db-1")
SERVING_HOSTS = HOSTS[:5]
FILLING_HOST = "db-1"
GOOD_VERSION, BAD_VERSION = "1.7.3", "1.8.0"
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
DISK_BYTES = 200 * GIB
MEMORY_BYTES = 16 * GIB
DAY_S = 86400
MINUTE_MS = 60_000

METADATA = (
    ("cpu_seconds_total", "counter", "Time the processors spent in each mode.", "seconds"),
    ("memory_used_bytes", "gauge", "Memory in use.", "bytes"),
    ("memory_size_bytes", "gauge", "Memory in all.", "bytes"),
    ("disk_used_bytes", "gauge", "Disk space in use.", "bytes"),
    ("disk_size_bytes", "gauge", "Disk space in all.", "bytes"),
    ("network_receive_bytes_total", "counter", "Bytes received.", "bytes"),
    ("network_transmit_bytes_total", "counter", "Bytes sent.", "bytes"),
    ("http_requests_total", "counter", "Requests answered.", ""),
    ("http_request_duration_seconds", "histogram", "Time to answer a request.", "seconds"),
)


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to the fleet; it begins again every three hours.

    From minute 80 to 95 a bad release serves; all the while the disk of db-1 runs full, until
    somebody cleans it up.

    Args:
        start_ms: a moment at which it begins, Unix ms.
    """

    start_ms: int

    LENGTH_MS: ClassVar = 180 * MINUTE_MS
    BAD_FROM_MS: ClassVar = 80 * MINUTE_MS
    BAD_UNTIL_MS: ClassVar = 95 * MINUTE_MS
    LEAST_SHARE: ClassVar = 0.64
    MOST_SHARE: ClassVar = 0.97

    @classmethod
    def of_disk_share(cls, share: float, now_ms: int) -> Story:
        """Return the story in which the disk of db-1 is this full at this time."""
        done = (share - cls.LEAST_SHARE) / (cls.MOST_SHARE - cls.LEAST_SHARE)
        return cls(now_ms - round(done * cls.LENGTH_MS))

    def version(self, now_ms: int) -> str:
        """Return the version that serves at this time."""
        bad = self.BAD_FROM_MS <= self._past(now_ms) < self.BAD_UNTIL_MS
        return BAD_VERSION if bad else GOOD_VERSION

    def disk_share(self, now_ms: int) -> float:
        """Return how full the disk of db-1 is, from 0 to 1."""
        rise = self.MOST_SHARE - self.LEAST_SHARE
        return self.LEAST_SHARE + rise * self._past(now_ms) / self.LENGTH_MS

    def _past(self, now_ms: int) -> int:
        return (now_ms - self.start_ms) % self.LENGTH_MS


@dataclass(slots=True)
class Fleet:
    """The fleet's state; `advance` moves it and tells every series' value.

    Args:
        story: what happens to it.
        rng: where its noise comes from.
        counters: what its counters have reached.
    """

    story: Story
    rng: random.Random
    counters: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def advance(self, now_ms: int, elapsed_s: float) -> list[tuple[str, Labels, float]]:
        """Let time pass; return (metric, labels, value) of every series at `now_ms`."""
        samples: list[tuple[str, Labels, float]] = []
        for host in HOSTS:
            load = self._load(host, now_ms)
            samples += self._machine(host, load, now_ms, elapsed_s)
            if host in SERVING_HOSTS:
                self._serve(host, load, now_ms, elapsed_s)
        samples += [(name, labels, value) for (name, labels), value in self.counters.items()]
        return samples

    def _load(self, host: str, now_ms: int) -> float:
        """Return how busy a host is, from 0 to 1: a day's wave, a shorter one, and noise."""
        phase = HOSTS.index(host)
        seconds = now_ms / 1000
        day = 0.5 - 0.5 * math.cos(2 * math.pi * (seconds % DAY_S) / DAY_S)
        wave = 0.5 + 0.5 * math.sin(2 * math.pi * seconds / 1500 + phase)
        return min(0.95, 0.15 + 0.35 * day + 0.25 * wave + self.rng.uniform(0, 0.08))

    def _machine(
        self, host: str, load: float, now_ms: int, elapsed_s: float
    ) -> Iterator[tuple[str, Labels, float]]:
        at_host = (("host", host),)
        shares = {"user": load * 0.7, "system": load * 0.2, "iowait": load * 0.1, "idle": 1 - load}
        for mode, share in shares.items():
            self._add("cpu_seconds_total", (("host", host), ("mode", mode)), 4 * share * elapsed_s)
        self._add("network_receive_bytes_total", at_host, load * 3e6 * elapsed_s)
        self._add("network_transmit_bytes_total", at_host, load * 9e6 * elapsed_s)
        yield "memory_used_bytes", at_host, MEMORY_BYTES * (0.35 + 0.4 * load)
        yield "memory_size_bytes", at_host, float(MEMORY_BYTES)
        yield "disk_size_bytes", at_host, float(DISK_BYTES)
        yield "disk_used_bytes", at_host, DISK_BYTES * self._disk_share(host, now_ms)

    def _disk_share(self, host: str, now_ms: int) -> float:
        if host == FILLING_HOST:
            return self.story.disk_share(now_ms)
        return 0.30 + 0.04 * HOSTS.index(host)

    def _serve(self, host: str, load: float, now_ms: int, elapsed_s: float) -> None:
        version = self.story.version(now_ms)
        broken = version == BAD_VERSION
        requests = round(load * 120 * elapsed_s)
        failed = sum(self.rng.random() < (0.18 if broken else 0.002) for _ in range(requests))
        missing = sum(self.rng.random() < 0.01 for _ in range(requests - failed))
        served = {"200": requests - failed - missing, "404": missing, "500": failed}
        for status, count in served.items():
            labels = (("host", host), ("status", status), ("version", version))
            self._add("http_requests_total", labels, count)
        slowness = (0.35 if broken else 0.04) * (1 + load)
        times_s = [self.rng.lognormvariate(math.log(slowness), 0.7) for _ in range(requests)]
        name = "http_request_duration_seconds"
        for bound in (*BUCKETS_S, math.inf):
            text = "+Inf" if bound == math.inf else f"{bound:g}"
            below = sum(time_s <= bound for time_s in times_s)
            self._add(f"{name}_bucket", (("host", host), ("le", text)), below)
        self._add(f"{name}_count", (("host", host),), requests)
        self._add(f"{name}_sum", (("host", host),), sum(times_s))

    def _add(self, name: str, labels: Labels, amount: float) -> None:
        key = (name, labels)
        self.counters[key] = self.counters.get(key, 0.0) + amount
