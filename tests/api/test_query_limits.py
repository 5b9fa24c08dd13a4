"""Limits through the whole application: each names itself, its value and its setting (SPEC §3)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from tidegauge.config import Config, LogConfig, QueryConfig

from tests.support import wire

QUERY = "/prometheus/api/v1/query"
NOW_MS = 1_700_000_000_000


@pytest.fixture
def config() -> Config:
    """Limits small enough to be reached by a few points; every query counts as slow."""
    query = QueryConfig(
        max_samples=5, max_series=3, max_result_points=4, max_depth=10, max_concurrent=1
    )
    return Config(query=query, log=LogConfig(slow_query_ms=0))


@dataclass
class Gate:
    """Holds the queries that read samples until it is opened."""

    inside: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def install(self, storage) -> None:
        """Put the gate in front of a storage's reads."""
        select = storage.select

        def select_behind_gate(*args, **options):
            self.inside.set()
            assert self.opened.wait(20)
            return select(*args, **options)

        storage.select = select_behind_gate


def ask(client, query: str, **params: object):
    return client.get(QUERY, query_string={"query": query, **params})


def test_too_many_samples_are_422_and_name_the_setting(client, push) -> None:
    for second in range(6):
        push("cpu", 1.0, {}, NOW_MS - second * 1000)

    response = ask(client, "sum_over_time(cpu[1m])")

    assert response.status_code == 422
    body = response.get_json()
    assert body["errorType"] == "execution"
    assert "6 samples, the limit is 5" in body["error"]
    assert "TIDEGAUGE_QUERY_MAX_SAMPLES" in body["error"]


def test_too_many_series_are_422_and_name_the_setting(client, push) -> None:
    for host in "abcd":
        push("cpu", 1.0, {"host": host}, NOW_MS)

    response = ask(client, "count(cpu)")

    assert response.status_code == 422
    assert "TIDEGAUGE_QUERY_MAX_SERIES" in response.get_json()["error"]


def test_too_many_points_in_the_answer_are_422(client, push) -> None:
    push("cpu", 1.0, {}, NOW_MS)

    response = client.post(
        "/api/v1/query",
        json={"query": "cpu", "start": NOW_MS, "end": NOW_MS + 4000, "step": 1},
    )

    assert response.status_code == 422
    assert "TIDEGAUGE_QUERY_MAX_RESULT_POINTS" in response.get_json()["error"]


@pytest.mark.parametrize(
    ("samples", "setting"),
    [(5, "TIDEGAUGE_QUERY_MAX_RESULT_POINTS"), (6, "TIDEGAUGE_QUERY_MAX_SAMPLES")],
)
def test_remote_read_of_too_much_is_422(client, push, samples: int, setting: str) -> None:
    for second in range(samples):
        push("cpu", 1.0, {}, NOW_MS - second * 1000)
    matcher = wire.field(3, wire.field(2, b"__name__") + wire.field(3, b"cpu"))
    query = b"\x10" + wire.varint(NOW_MS) + matcher

    response = client.post("/prometheus/api/v1/read", data=wire.compress(wire.field(1, query)))

    assert response.status_code == 422
    assert setting in response.get_json()["error"]


def test_federation_of_too_many_series_is_422(client, push) -> None:
    for host in "abcd":
        push("cpu", 1.0, {"host": host}, NOW_MS)

    response = client.get("/prometheus/federate?match[]=cpu")

    assert response.status_code == 422
    assert "TIDEGAUGE_QUERY_MAX_SERIES" in response.get_json()["error"]


def test_too_deep_an_expression_is_422(client) -> None:
    response = ask(client, "(" * 11 + "1" + ")" * 11)

    assert response.status_code == 422
    assert "TIDEGAUGE_QUERY_MAX_DEPTH" in response.get_json()["error"]


def test_a_listing_of_too_many_series_is_422(client, push) -> None:
    for host in "abcd":
        push("cpu", 1.0, {"host": host}, NOW_MS)

    response = client.get("/prometheus/api/v1/series?match[]=cpu")

    assert response.status_code == 422
    assert "TIDEGAUGE_QUERY_MAX_SERIES" in response.get_json()["error"]


def test_a_query_that_finds_no_place_in_time_is_503(app, client, push, database) -> None:
    push("cpu", 1.0, {}, NOW_MS)
    gate, answers = Gate(), []
    gate.install(database.storage)
    first = threading.Thread(target=lambda: answers.append(ask(app.test_client(), "cpu")))
    first.start()
    assert gate.inside.wait(20)

    refused = ask(client, "cpu + 0", timeout="0.01")
    gate.opened.set()
    first.join(20)

    assert refused.status_code == 503
    assert refused.get_json()["errorType"] == "timeout"
    assert "TIDEGAUGE_QUERY_MAX_CONCURRENT" in refused.get_json()["error"]
    assert [answer.status_code for answer in answers] == [200]
    assert ask(client, "cpu").status_code == 200


def test_slow_queries_are_logged_with_what_they_did(client, push, log_lines) -> None:
    push("cpu", 1.0, {}, NOW_MS)

    client.get(QUERY, query_string={"query": "sum(cpu)"}, headers={"X-Request-ID": "slow-1"})

    (line,) = [line for line in log_lines() if line["message"] == "slow query"]
    assert line["level"] == "warning"
    assert line["request_id"] == "slow-1"
    assert line["query"] == "sum(cpu)"
    assert line["samples_read"] == line["series_read"] == 1
    assert line["duration_ms"] >= 0


def test_limits_hit_are_logged_as_warnings(client, log_lines) -> None:
    client.post("/api/v1/query", json={"query": "vector(1)", "start": 0, "end": 4000, "step": 1})

    (line,) = [line for line in log_lines() if line["message"] == "query limit hit"]
    assert line["level"] == "warning"
    assert "TIDEGAUGE_QUERY_MAX_RESULT_POINTS" in line["error"]


def test_a_vector_on_the_way_that_is_too_large_names_the_setting(client, log_lines) -> None:
    response = ask(client, "max_over_time(vector(1)[10s:1s])")

    assert response.status_code == 422
    assert "points (series times steps), the limit is 5" in response.get_json()["error"]
    assert "TIDEGAUGE_QUERY_MAX_SAMPLES" in response.get_json()["error"]
    assert [line for line in log_lines() if line["message"] == "query limit hit"]


def test_queries_that_do_not_parse_are_counted(client) -> None:
    ask(client, "sum(")

    exposition = client.get("/metrics").get_data(as_text=True)
    assert 'query_requests_total{kind="instant",outcome="error"} 1.0' in exposition


def test_many_selectors_are_logged_in_part(client, log_lines) -> None:
    client.post("/prometheus/api/v1/series", data={"match[]": ["x" * 1000] * 1000})

    (line,) = [line for line in log_lines() if line["message"] == "slow query"]
    assert line["selectors"] == ["x" * 200] * 10
