"""Makes the requests to send, before any clock runs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tests.support.wire import HEADERS, compress, field, label_set, sample


@dataclass(frozen=True)
class Request:
    """One prepared HTTP request, and how many samples it carries."""

    raw: bytes
    samples: int


@dataclass(frozen=True)
class Family:
    """A metric and its series: label sets, and their values over the rounds.

    Args:
        label_sets: without `__name__`.
        values: float64, shape (rounds, series).
    """

    name: str
    label_sets: Sequence[dict[str, str]]
    values: np.ndarray


def fleet_label_sets(count: int, metric: int) -> list[dict[str, str]]:
    """Return label sets of ten labels (eleven with the name), as a Kubernetes fleet has them."""
    return [
        {
            "job": f"service-{number % 10}",
            "instance": f"10.{metric % 250}.{number // 250}.{number % 250}:9100",
            "namespace": f"team-{number % 7}",
            "pod": f"service-{number % 10}-6d4cf56db6-{number:05d}",
            "container": "main",
            "node": f"ip-10-0-{number % 40}.eu-central-1.compute.internal",
            "cluster": "production-eu-1",
            "region": "eu-central-1",
            "zone": f"eu-central-1{'abc'[number % 3]}",
            "version": f"v1.{number % 5}.0",
        }
        for number in range(count)
    ]


def counters(rounds: int, series: int, seed: int) -> np.ndarray:
    """Return rising whole numbers, shape (rounds, series)."""
    random = np.random.default_rng(seed)
    return np.cumsum(random.integers(0, 200, (rounds, series)), axis=0).astype(np.float64)


def gauges(rounds: int, series: int, seed: int) -> np.ndarray:
    """Return a random walk with two decimals, shape (rounds, series)."""
    random = np.random.default_rng(seed)
    steps = random.normal(0, 1, (rounds, series)).cumsum(axis=0)
    return np.round(50 + steps, 2)


def remote_write_requests(
    families: Sequence[Family], *, start_ms: int, step_ms: int, samples: int, host: str, path: str
) -> Iterator[Request]:
    """Yield requests of `samples` samples each, in time order, across all families.

    Every series has one sample a round; requests end where they are full, not where a round ends.
    """
    prefixes = [
        label_set({"__name__": family.name, **labels})
        for family in families
        for labels in family.label_sets
    ]
    values = np.hstack([family.values for family in families])
    rounds, series = values.shape
    cells = ((at, column) for at in range(rounds) for column in range(series))
    while chunk := list(itertools.islice(cells, samples)):
        body = b"".join(
            field(1, prefixes[column] + sample(float(values[at, column]), start_ms + at * step_ms))
            for at, column in chunk
        )
        yield Request(http_post(host, path, compress(body), HEADERS), len(chunk))


def json_requests(
    families: Sequence[Family], *, start_ms: int, step_ms: int, samples: int, host: str
) -> Iterator[Request]:
    """Yield JSON API requests of `samples` points each."""
    named = [(family.name, tags) for family in families for tags in family.label_sets]
    values = np.hstack([family.values for family in families])
    rounds, series = values.shape
    cells = ((at, column) for at in range(rounds) for column in range(series))
    while chunk := list(itertools.islice(cells, samples)):
        points = [
            {
                "name": named[column][0],
                "tags": named[column][1],
                "value": float(values[at, column]),
                "timestamp": start_ms + at * step_ms,
            }
            for at, column in chunk
        ]
        body = json.dumps(points, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        yield Request(http_post(host, "/api/v1/metrics", body, headers), len(chunk))


def http_post(host: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return a whole HTTP/1.1 request as bytes."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def split_connections(
    families: Sequence[Family], connections: int, make: Callable[[list[Family]], Iterator[Request]]
) -> list[list[Request]]:
    """Return the requests of each connection; a series always travels on the same one."""
    parts: list[list[Request]] = []
    for index in range(connections):
        mine = [
            Family(
                family.name,
                family.label_sets[index::connections],
                family.values[:, index::connections],
            )
            for family in families
        ]
        parts.append(list(make(mine)))
    return parts
