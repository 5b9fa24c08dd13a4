"""A real Prometheus and Tidegauge with the same samples, and requests that go to both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.support import wire

STEP_S = 15
STEPS = 41

# Their times hang on the END of the data, a whole minute; "$END-300" is five minutes before it.
Params = Mapping[str, str | list[str]]
RANGE = {"start": "$END-300", "end": "$END", "step": "60"}


@dataclass(frozen=True)
class Ask:
    """One request."""

    path: str
    params: Params = field(default_factory=dict)
    method: str = "GET"

    def __str__(self) -> str:
        return f"{self.method} {self.path} {dict(self.params)}"


def instant(query: str, at: str = "$END", **more: str) -> Ask:
    return Ask("query", {"query": query, "time": at, **more})


def over(query: str, **other: str) -> Ask:
    return Ask("query_range", {"query": query, **RANGE, **other})


def formatted(query: str) -> Ask:
    return Ask("format_query", {"query": query})


def posted(ask: Ask) -> Ask:
    return Ask(ask.path, ask.params, "POST")


def matching(path: str, *selectors: str, **more: str) -> Ask:
    return Ask(path, {"match[]": list(selectors), **more})


@dataclass(frozen=True)
class Pair:
    """Both products with the same samples, up to end_s."""

    ours: str
    theirs: str
    end_s: int

    def store(self, series: Iterable[tuple[Mapping[str, str], list[tuple[int, float]]]]) -> None:
        """Write the same samples to both."""
        body = wire.compress(wire.write_request(series))
        for base in (self.ours, self.theirs):
            sent = requests.post(f"{base}/api/v1/write", body, headers=wire.HEADERS, timeout=30)
            assert sent.status_code == 204, sent.text

    def ask(self, ask: Ask) -> tuple[requests.Response, requests.Response]:
        """Return the answer of Prometheus, and ours."""
        return self._send(self.theirs, ask), self._send(self.ours, ask)

    def _send(self, base: str, ask: Ask) -> requests.Response:
        params = {name: self._resolve(value) for name, value in ask.params.items()}
        where = {"data": params} if ask.method == "POST" else {"params": params}
        return requests.request(
            ask.method, f"{base}/api/v1/{ask.path}", **where, timeout=30, allow_redirects=False
        )

    def _resolve(self, value: str | list[str]) -> str | list[str]:
        if isinstance(value, str) and value.startswith("$END"):
            return str(self.end_s + int(value.removeprefix("$END") or "0"))
        return value


def make_series(end_s: int) -> list[tuple[dict[str, str], list[tuple[int, float]]]]:
    """Return counters, gauges, odd values and buckets, a sample every 15 s up to the end."""

    def points(first: float, step: float) -> list[tuple[int, float]]:
        back_s = [(STEPS - 1 - place) * STEP_S for place in range(STEPS)]
        return [((end_s - back) * 1000, first + place * step) for place, back in enumerate(back_s)]

    counters = [
        ({"__name__": "http_requests_total", "job": "api", "code": str(code)}, points(0, code))
        for code in (200, 404, 500)
    ]
    gauges = [
        ({"__name__": "temperature", "room": room}, points(first, 1))
        for room, first in (("a", 0.1), ("b", -3.5e-9), ('ü "q" \\ <&>\u2028\n', 1e22))
    ]
    odd = {"nan": "nan", "inf": "inf", "ninf": "-inf", "tiny": "1e-7", "big": "1e21", "zero": "-0"}
    special = [
        ({"__name__": "special", "kind": kind}, [(end_s * 1000, float(text))])
        for kind, text in odd.items()
    ]
    buckets = [
        ({"__name__": "lat_bucket", "le": le}, points(0, step))
        for le, step in (("0.1", 1), ("1", 3), ("+Inf", 4))
    ]
    return [*counters, *gauges, *special, *buckets]


def in_order(body: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with an instant vector's series sorted: Prometheus 3 gives them in no order.

    The same object, changed.
    """
    data = body.get("data")
    if isinstance(data, dict) and data.get("resultType") == "vector":
        data["result"].sort(key=lambda row: sorted(row["metric"].items()))
    return body
