"""The same requests to a real Prometheus and to Tidegauge: same statuses, key order and bodies."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.support import wire
from tests.support.debian import ProgramMissing
from tests.support.product import Up
from tests.support.servers import run_prometheus

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

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


def posted(ask: Ask) -> Ask:
    return Ask(ask.path, ask.params, "POST")


def matching(path: str, *selectors: str, **more: str) -> Ask:
    return Ask(path, {"match[]": list(selectors), **more})


# Windows end 7 s off the samples: Prometheus 2 has windows closed on the left, 3 open ones.
SAME_ANSWERS = [
    instant("1+1", "4"),
    posted(instant("1+1", "4")),
    instant('"text"'),
    instant("nothing"),
    instant("http_requests_total"),
    instant("http_requests_total[1m]", "$END-7"),
    instant("http_requests_total", "2015-07-01T20:10:51.781Z"),
    instant("special"),
    instant("temperature"),
    instant("sum by (job) (rate(http_requests_total[2m]))", "$END-7"),
    instant("time()", "1e3"),
    instant("time()", "-5.5"),
    instant("vector(1e-7) or vector(1e21) + 1", "4"),
    instant("1", "4", timeout="1m0s"),
    instant("max_over_time(temperature[3m:30s])", "$END-7"),
    instant("histogram_quantile(0.9, lat_bucket)"),
    over("http_requests_total"),
    posted(over("temperature")),
    over("1"),
    over("nothing"),
    over("time()", step="1m0s"),
    over("time()", start="$END-2", step="0.5"),
    over("special == special"),
    over("1", start="0", end="11000", step="1"),
    Ask("labels"),
    Ask("labels", method="POST"),
    matching("labels", "temperature"),
    matching("labels", "temperature", "special"),
    matching("labels", "temperature", start="$END-1000", end="$END"),
    Ask("label/__name__/values"),
    Ask("label/job/values"),
    Ask("label/nolabel/values"),
    matching("label/job/values", "temperature"),
    matching("label/room/values", 'temperature{room="a"}', "special"),
    matching("series", "temperature"),
    posted(matching("series", "temperature", "special")),
    matching("series", "nothing"),
    Ask("metadata"),
    Ask("metadata", {"metric": "nothing"}),
    Ask("query_exemplars", {"query": "test", "start": "$END", "end": "$END"}),
    Ask("query_exemplars", {"query": "test", "start": "1700000000000", "end": "1700000000001"}),
]

SAME_FAULTS = [
    Ask("query"),
    instant("sum("),
    instant("foo{"),
    instant("rate(http_requests_total)"),
    instant('foo{a=~"("}'),
    instant('{__name__=~".*"}'),
    instant("up", "yesterday"),
    instant("1", timeout="abc"),
    instant("1", timeout="-1"),
    instant("http_requests_total * on (job) http_requests_total"),
    instant('label_replace(http_requests_total, "a", "$1", "b", "(")'),
    instant("topk(NaN, http_requests_total)"),
    over(""),
    over("sum("),
    over("http_requests_total[1m]"),
    over('"text"'),
    over("1", step="0"),
    over("1", step="-1"),
    over("1", step="x"),
    over("1", end="$END-301"),
    over("1", start="0", end="11001", step="1"),
    over("http_requests_total * on (job) http_requests_total"),
    Ask("query_range", {"query": "1", "end": "$END", "step": "1"}),
    Ask("query_range", {"query": "1", "start": "$END", "step": "1"}),
    Ask("query_range", {"query": "1", "start": "$END", "end": "$END"}),
    Ask("labels", {"start": "x"}),
    matching("labels", "{"),
    matching("labels", ""),
    matching("labels", 'a=""'),
    matching("labels", '{a=~".*"}'),
    matching("labels", "sum(a)"),
    matching("labels", "a[1m]"),
    matching("label/room/values", '{room=""}'),
    Ask("series"),
    matching("series", "temp{"),
    matching("series", "temperature", '{x=""}'),
    matching("series", "temperature", start="x"),
    Ask("metadata", {"limit": "x"}),
]

# Prometheus has no JSON body for these; Grafana wants one (grafana-contract §0).
SAME_STATUS = [
    Ask("label/room/values", method="POST"),
    Ask("metadata", method="POST"),
    Ask("status/buildinfo", method="POST"),
    Ask("query", method="PUT"),
    Ask("write"),
    Ask("nothing"),
]


@dataclass(frozen=True)
class Pair:
    """Both products with the same samples, up to end_s."""

    ours: str
    theirs: str
    end_s: int

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


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("shape")
    ours = Up(folder / "tidegauge")
    with ExitStack() as stack:
        stack.callback(ours.end)
        with ThreadPoolExecutor() as pool:
            started = pool.submit(ours.start)
            try:
                theirs = stack.enter_context(run_prometheus(folder / "prometheus"))
            except ProgramMissing as exc:
                pytest.skip(str(exc))
            finally:
                started.result()
        end_s = int(time.time()) // 60 * 60 - 60
        pair = Pair(f"{ours.base}/prometheus", theirs.url, end_s)
        body = wire.compress(wire.write_request(make_series(end_s)))
        for base in (pair.ours, pair.theirs):
            sent = requests.post(f"{base}/api/v1/write", body, headers=wire.HEADERS, timeout=30)
            assert sent.status_code == 204, sent.text
        yield pair


def shape(value: Any) -> Any:
    """Return a JSON value with its objects as lists of pairs, so that the order of keys counts."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    return [shape(inner) for inner in value] if isinstance(value, list) else value


def without_notes(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body without the infos and warnings, which Prometheus 2.42 does not have."""
    return {key: value for key, value in body.items() if key not in ("infos", "warnings")}


@pytest.mark.parametrize("ask", SAME_ANSWERS, ids=str)
def test_answers_have_the_same_body(pair: Pair, ask: Ask) -> None:
    theirs, ours = pair.ask(ask)

    assert theirs.status_code == 200, theirs.text
    assert ours.status_code == 200, ours.text
    assert ours.headers["Content-Type"] == theirs.headers["Content-Type"]
    assert shape(without_notes(ours.json())) == shape(theirs.json())


@pytest.mark.parametrize("ask", SAME_FAULTS, ids=str)
def test_faults_have_the_same_status_keys_and_type(pair: Pair, ask: Ask) -> None:
    theirs, ours = pair.ask(ask)

    assert theirs.status_code >= 400, theirs.text
    assert ours.status_code == theirs.status_code, ours.text
    assert list(ours.json()) == list(theirs.json()) == ["status", "errorType", "error"]
    assert ours.json()["status"] == theirs.json()["status"] == "error"
    assert ours.json()["errorType"] == theirs.json()["errorType"]


@pytest.mark.parametrize("ask", SAME_STATUS, ids=str)
def test_paths_and_methods_have_the_same_status_and_a_json_body(pair: Pair, ask: Ask) -> None:
    theirs, ours = pair.ask(ask)

    assert theirs.status_code in (404, 405)
    assert ours.status_code == theirs.status_code
    assert list(ours.json()) == ["status", "errorType", "error"]


def test_build_information_has_the_same_fields(pair: Pair) -> None:
    theirs, ours = pair.ask(Ask("status/buildinfo"))

    assert list(ours.json()["data"]) == list(theirs.json()["data"])
