"""The demo fleet: what the banner says is to be seen is in the samples."""

from __future__ import annotations

import itertools
import random

import pytest
from tidegauge.cli.demo_fleet import HOSTS, METADATA, Fleet, Labels, Story

MINUTE_MS = 60_000
START_MS = 1_700_000_000_000
Moment = dict[tuple[str, Labels], float]


@pytest.fixture(scope="module")
def moments() -> list[Moment]:
    """Two hours of the fleet, a moment a minute; the bad release serves from minute 80 to 95."""
    fleet = Fleet(Story(START_MS), random.Random(7))
    return [
        {
            (name, labels): value
            for name, labels, value in fleet.advance(START_MS + minute * MINUTE_MS, 60)
        }
        for minute in range(121)
    ]


def total(moment: Moment, name: str, **wanted: str) -> float:
    return sum(
        value
        for (metric, labels), value in moment.items()
        if metric == name and wanted.items() <= dict(labels).items()
    )


def test_every_metric_is_described(moments: list[Moment]) -> None:
    described = {name for name, *_ in METADATA}
    suffixes = ("_bucket", "_sum", "_count")
    named = {name for name, _ in moments[0]}

    bases = {
        next((name.removesuffix(end) for end in suffixes if name.endswith(end)), name)
        for name in named
    }
    assert bases == described


def test_no_metric_has_more_series_than_the_json_api_admits(moments: list[Moment]) -> None:
    names = [name for name, _ in moments[-1]]

    assert max(names.count(name) for name in set(names)) <= 100


def test_counters_never_fall(moments: list[Moment]) -> None:
    counters = [key for key in moments[0] if key[0].endswith(("_total", "_bucket", "_count"))]

    falls = [
        key
        for key in counters
        for before, after in itertools.pairwise(moments)
        if after[key] < before[key]
    ]
    assert counters
    assert falls == []


def test_bad_release_brings_errors_and_taking_it_back_ends_them(moments: list[Moment]) -> None:
    def error_share(first: int, last: int) -> float:
        def gained(**wanted: str) -> float:
            return total(moments[last], "http_requests_total", **wanted) - total(
                moments[first], "http_requests_total", **wanted
            )

        return gained(status="500") / gained()

    assert error_share(0, 79) < 0.01
    assert error_share(81, 94) > 0.1
    assert error_share(96, 120) < 0.01


def test_bad_release_names_its_version(moments: list[Moment]) -> None:
    assert total(moments[79], "http_requests_total", version="1.8.0") == 0
    assert total(moments[95], "http_requests_total", version="1.8.0", status="500") > 0


def test_one_host_runs_full(moments: list[Moment]) -> None:
    shares = {
        host: total(moments[-1], "disk_used_bytes", host=host)
        / total(moments[-1], "disk_size_bytes", host=host)
        for host in HOSTS
    }

    assert max(shares, key=shares.__getitem__) == "db-1"
    assert shares["db-1"] > 0.85
    assert max(share for host, share in shares.items() if host != "db-1") < 0.6


def test_disk_is_cleaned_up_before_it_is_full() -> None:
    story = Story(START_MS)

    shares = [story.disk_share(START_MS + minute * MINUTE_MS) for minute in range(400)]

    assert max(shares) < 0.98
    assert min(shares) == shares[0] == shares[180]
    assert [minute for minute in range(1, 400) if shares[minute] < shares[minute - 1]] == [180, 360]


@pytest.mark.parametrize("minute", [0, 1, 90, 179])
def test_story_is_found_again_from_how_full_the_disk_is(minute: int) -> None:
    now_ms = START_MS + minute * MINUTE_MS
    told = Story(START_MS)

    found = Story.of_disk_share(told.disk_share(now_ms), now_ms)

    assert abs(found.start_ms - told.start_ms) <= 1


def test_fleet_goes_on_from_the_counters_it_is_given() -> None:
    key = ("network_receive_bytes_total", (("host", "db-1"),))
    fleet = Fleet(Story(START_MS), random.Random(1), {key: 1e15})

    moment = {(name, labels): v for name, labels, v in fleet.advance(START_MS, 5)}

    assert 1e15 < moment[key] < 1.001e15


def test_buckets_of_a_histogram_are_cumulative(moments: list[Moment]) -> None:
    buckets = {
        float(dict(labels)["le"]): value
        for (name, labels), value in moments[-1].items()
        if name.endswith("_bucket") and dict(labels)["host"] == "api-1"
    }
    values = [buckets[bound] for bound in sorted(buckets)]

    assert values == sorted(values)
    assert values[-1] == total(moments[-1], "http_request_duration_seconds_count", host="api-1")
