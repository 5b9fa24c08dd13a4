"""Prometheus's own clients read from Tidegauge: promtool, remote read, federation."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
import requests
from tidegauge.model.stale import STALE_NAN

from tests.support.debian import find_program
from tests.support.pair import Ask, Pair, in_order, instant, over
from tests.support.servers import Server, run_prometheus, wait_until

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def promtool(base: str, kind: str, *arguments: str) -> tuple[int, str]:
    """Return promtool's exit code and what it printed."""
    command = [str(find_program("promtool")), "query", kind, *arguments]
    done = subprocess.run(
        [argument.replace("SERVER", base) for argument in command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr.replace(base, "SERVER")


@pytest.mark.parametrize(
    "arguments",
    [
        ("instant", "--time=$END", "SERVER", "http_requests_total"),
        ("instant", "--time=$END", "SERVER", "sum by (job) (http_requests_total)"),
        ("instant", "--time=4", "SERVER", "1+1"),
        ("range", "--start=$START", "--end=$END", "--step=1m", "SERVER", "temperature"),
        ("series", "--start=$START", "--end=$END", "--match=temperature", "SERVER"),
        ("labels", "SERVER", "room"),
        ("series", "--match=temperature", "SERVER"),
    ],
    ids=" ".join,
)
def test_promtool_prints_the_same(pair: Pair, arguments: tuple[str, ...]) -> None:
    times = {"$START": str(pair.end_s - 300), "$END": str(pair.end_s)}
    filled = list(arguments)
    for name, text in times.items():
        filled = [argument.replace(name, text) for argument in filled]

    theirs = promtool(pair.theirs, *filled)
    ours = promtool(pair.ours, *filled)

    assert theirs[0] == 0
    # Without a time of its own a query's answer has the time of asking.
    assert [line.partition(" @[")[0] for line in ours[1].splitlines()] == [
        line.partition(" @[")[0] for line in theirs[1].splitlines()
    ]
    assert ours[0] == 0


def test_promtool_shows_the_error_of_a_wrong_query(pair: Pair) -> None:
    code, printed = promtool(pair.ours, "instant", "SERVER", "sum(")

    assert code != 0
    assert "bad_data" in printed
    assert "parse error" in printed


@pytest.fixture(scope="module")
def reader(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second Prometheus, without samples: what it knows it reads from Tidegauge."""

    def configure(_own: str) -> str:
        return f"remote_read: [{{url: '{pair.ours}/api/v1/read', read_recent: true}}]\n"

    with run_prometheus(tmp_path_factory.mktemp("reader"), configure) as server:
        yield server


@pytest.mark.parametrize(
    "ask",
    [
        instant("http_requests_total"),
        instant("special"),
        instant('{__name__=~"temp.*|special", room!="a"}'),
        instant('temperature{room!~"a|b"}'),
        instant("http_requests_total[10m]", "$END-7"),
        over("sum by (job) (rate(http_requests_total[2m]))", start="$END-293", end="$END-7"),
        over("temperature"),
        instant("nothing"),
    ],
    ids=str,
)
def test_a_prometheus_that_reads_from_here_knows_what_the_other_one_knows(
    pair: Pair, reader: Server, ask: Ask
) -> None:
    through = Pair(ours=reader.url, theirs=pair.theirs, end_s=pair.end_s)

    theirs, ours = through.ask(ask)

    assert theirs.status_code == 200
    assert ours.status_code == 200, ours.text
    assert in_order(ours.json()) == in_order(theirs.json())


@pytest.fixture(scope="module")
def fresh(pair: Pair) -> Pair:
    """Both know samples of this minute; one series has just ended."""
    now_ms = int(time.time()) * 1000
    old, now = now_ms - 30_000, now_ms - 1000
    ended = float(STALE_NAN[0])
    pair.store(
        [
            ({"__name__": "fed_b", "kind": "escaped", "text": 'a"b\\c\nd'}, [(old, 1), (now, 2.5)]),
            ({"__name__": "fed_b", "instance": "own", "kind": "x"}, [(now, 1e21)]),
            ({"__name__": "fed_a", "kind": "million"}, [(now, 1e6)]),
            ({"__name__": "fed_a", "kind": "tiny"}, [(now, -1.5e-7)]),
            ({"__name__": "fed_a", "kind": "nan"}, [(now, float("nan"))]),
            ({"__name__": "fed_a", "kind": "inf"}, [(now, float("-inf"))]),
            ({"__name__": "fed_a", "kind": "zero"}, [(now, 0.0)]),
            ({"__name__": "fed_a", "kind": "ended"}, [(old, 1.0), (now, ended)]),
            ({"__name__": "fed_a", "kind": "late"}, [(now_ms - 400_000, 1.0)]),
        ]
    )
    return pair


def federate(base: str, *selectors: str) -> requests.Response:
    """Scrape what is selected."""
    answer = requests.get(
        f"{base}/federate",
        params={"match[]": list(selectors)},
        headers={"Accept": "text/plain;version=0.0.4"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize(
    "selectors",
    [("fed_a",), ('{__name__=~"fed_.*"}',), ("fed_b", 'fed_b{kind="x"}', "fed_a"), ("none",), ()],
    ids=str,
)
def test_federation_exposes_the_same(fresh: Pair, selectors: tuple[str, ...]) -> None:
    theirs, ours = federate(fresh.theirs, *selectors), federate(fresh.ours, *selectors)

    # Prometheus 2 does not say how names are escaped.
    assert ours.headers["Content-Type"] == f"{TEXT_FORMAT}; escaping=underscores"
    assert theirs.headers["Content-Type"] in (TEXT_FORMAT, ours.headers["Content-Type"])
    # Series of one metric come in the order of labels here, and in no order there.
    assert sorted(ours.text.splitlines()) == sorted(theirs.text.splitlines())
    heads = [line for line in ours.text.splitlines() if line.startswith("#")]
    assert heads == [line for line in theirs.text.splitlines() if line.startswith("#")]


def test_a_wrong_selector_is_refused_by_both(fresh: Pair) -> None:
    answers = [
        requests.get(f"{base}/federate", params={"match[]": "fed_a{"}, timeout=30).status_code
        for base in (fresh.theirs, fresh.ours)
    ]

    assert answers == [400, 400]


def test_a_prometheus_scrapes_what_is_federated(
    fresh: Pair, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = fresh.ours.removeprefix("http://").removesuffix("/prometheus")
    scrape = (
        "global: {scrape_interval: 1s}\n"
        "scrape_configs: [{job_name: federated, honor_labels: true, honor_timestamps: true,\n"
        "  metrics_path: /prometheus/federate, params: {'match[]': ['fed_b']},\n"
        f"  static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    with run_prometheus(tmp_path_factory.mktemp("scraper"), lambda own: scrape) as scraper:
        ask = _asking(scraper, 'fed_b{kind="escaped"}')
        wait_until(lambda: bool(ask()), timeout_s=60, what="the federated series are there")
        (found,) = ask()

    assert found["metric"]["text"] == 'a"b\\c\nd'
    assert found["metric"]["job"] == "federated"
    assert found["value"][1] == "2.5"


def _asking(server: Server, query: str) -> Callable[[], list[dict[str, dict[str, str]]]]:
    def ask() -> list[dict[str, dict[str, str]]]:
        answer = requests.get(f"{server.url}/api/v1/query", params={"query": query}, timeout=30)
        found: list[dict[str, dict[str, str]]] = answer.json()["data"]["result"]
        return found

    return ask
