"""POST /api/v1/alerts/backtest: a rule over past data, with progress, limits and a way to end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from tidegauge.alerts.backtest import service
from tidegauge.app import create_app
from tidegauge.auth.principal import LOCAL
from tidegauge.config import AlertsConfig, Config, QueryConfig, TraceConfig
from tidegauge.services import Services
from werkzeug.test import TestResponse

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
API = "/api/v1/alerts/backtest"
RULE = {"name": "hot", "query": "heat", "condition": "gt", "threshold": 5, "duration": "2m"}


@pytest.fixture
def heat(push_remote: Any) -> None:
    """An hour of two hosts, a sample every 30 s; a is hot for minutes 10 to 20, and 31."""
    for host in "ab":
        points = []
        for number in range(121):
            minute = number // 2
            hot = host == "a" and (10 <= minute < 20 or minute == 31)
            points.append((NOW_MS - HOUR_MS + number * 30_000, 9.0 if hot else 1.0))
        push_remote({"__name__": "heat", "host": host}, points)


def ask(client: FlaskClient, **body: Any) -> TestResponse:
    return client.post(API, json={"rule": RULE, "start": "now-1h", **body})


def lines(response: TestResponse) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in response.get_data().splitlines()]


def find(client: FlaskClient, **body: Any) -> dict[str, Any]:
    response = ask(client, stream=False, **body)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()["data"]


def test_a_backtest_says_when_a_rule_would_have_fired(client: FlaskClient, heat: None) -> None:
    found = find(client)
    start_ms = NOW_MS - HOUR_MS

    assert found["spells"] == [
        {
            "labels": {"host": "a"},
            "active_at": start_ms + 10 * MINUTE_MS,
            "fired_at": start_ms + 12 * MINUTE_MS,
            "ended_at": start_ms + 20 * MINUTE_MS,
            "peak": 9.0,
            "flap": False,
            "brief": False,
        }
    ]
    assert [(one["active_at"], one["ended_at"]) for one in found["pending"]] == [
        (start_ms + 31 * MINUTE_MS, start_ms + 32 * MINUTE_MS)
    ]
    assert (found["firing_ms"], found["step_ms"], found["notes"]) == (8 * MINUTE_MS, 10_000, [])
    assert found["notifications"] == {"firing": 1, "repeat": 0, "resolved": 1, "total": 2}
    assert found["end"] == NOW_MS


def test_progress_is_told_line_by_line_and_the_last_line_is_the_result(
    client: FlaskClient, heat: None
) -> None:
    response = ask(client)
    *news, last = lines(response)

    assert response.mimetype == "application/x-ndjson"
    assert len(news) >= 2
    done = [one["progress"] for one in news]
    assert done == sorted(set(done))
    assert done[-1] == 1.0
    assert last["data"] == find(client)


def test_two_versions_of_a_rule_are_compared(client: FlaskClient, heat: None) -> None:
    found = find(client, compare={**RULE, "duration": 0})
    difference = found["difference"]

    assert found["compare"]["spells_total"] == 2
    assert (difference["only_first"], difference["both"]) == ([], 1)
    assert [one["brief"] for one in difference["only_second"]] == [True]
    assert difference["delay_ms"] == {
        "least": -2 * MINUTE_MS,
        "median": -2 * MINUTE_MS,
        "most": -2 * MINUTE_MS,
    }
    assert difference["complete"]
    assert found["compare"]["suggestion"] == {
        "duration": "1m",
        "delay_ms": MINUTE_MS,
        "reason": found["compare"]["suggestion"]["reason"],
    }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"rule": None}, "one of rule and rule_id"),
        ({"rule_id": 1}, "one of rule and rule_id"),
        ({"start": "soon"}, "start"),
        ({"start": "now", "end": "now-1h"}, "before start"),
        ({"end": "now+1h"}, "future"),
        ({"rule": {**RULE, "query": "heat["}}, "parse error"),
        ({"rule": {**RULE, "query": "heat[5m]"}}, "range vector"),
        ({"rule": {**RULE, "query": "heat @ end()"}}, "mean something else"),
        ({"compare": {**RULE, "interval": "1ms"}}, "interval"),
        ({"rule": {**RULE, "colour": 1}}, "colour"),
    ],
)
def test_what_is_wrong_with_the_question_is_a_400(
    client: FlaskClient, body: dict[str, Any], said: str
) -> None:
    response = ask(client, **body)

    assert response.status_code == 400
    assert said in response.get_json()["error"]


def test_a_query_that_fails_on_the_way_is_the_last_line(
    client: FlaskClient, push_remote: Any, heat: None
) -> None:
    # From the 50th minute on, two series are on the one side.
    for name in ("x", "y"):
        push_remote({"__name__": "one", "host": "a", "n": name}, [(NOW_MS - 10 * MINUTE_MS, 1.0)])

    response = ask(client, rule={**RULE, "query": "heat * on (host) one"})
    *news, last = lines(response)

    assert response.status_code == 200
    assert news[0]["progress"] < 1
    assert last["code"] == "execution"
    assert "many-to-many" in last["error"]
    assert last["request_id"] == response.headers["X-Request-ID"]


class TestSmall:
    """With settings that one backtest reaches."""

    @pytest.fixture
    def config(self) -> Config:
        return Config(
            trace=TraceConfig(own_metrics_s=0),
            alerts=AlertsConfig(backtest_steps=100),
            query=QueryConfig(max_result_points=1000, max_points=50),
        )

    def test_a_long_range_is_evaluated_less_often_and_that_is_said(
        self, client: FlaskClient, heat: None
    ) -> None:
        found = find(client)

        assert found["step_ms"] == 40_000
        assert "every 40 s instead of every 10 s" in found["notes"][0]
        assert "TIDEGAUGE_BACKTEST_STEPS" in found["notes"][0]

    def test_stretches_become_shorter_until_the_limits_of_queries_allow_them(
        self, client: FlaskClient, push_remote: Any
    ) -> None:
        for number in range(300):
            labels = {"__name__": "heat", "host": str(number)}
            push_remote(labels, [(NOW_MS - 9 * MINUTE_MS, 9.0)])

        found = find(client, start=NOW_MS - 10 * MINUTE_MS, rule={**RULE, "duration": 0})

        assert found["spells_total"] == 300


def test_the_time_limit_names_its_setting(services: Services, heat: None) -> None:
    moments = itertools.count(0, 40)
    services.backtests = service.BacktestService(
        query=services.query,
        parser=services.parser,
        config=services.config,
        monotonic=lambda: float(next(moments)),
    )
    client = create_app(services, local=LOCAL).test_client()

    response = ask(client, stream=False)

    assert response.status_code == 503
    assert response.get_json()["code"] == "timeout"
    assert "TIDEGAUGE_BACKTEST_TIMEOUT_SECONDS" in response.get_json()["error"]


def test_only_so_many_run_at_once_and_one_that_is_left_gives_its_place_back(
    client: FlaskClient, heat: None
) -> None:
    def begin() -> tuple[TestResponse, Iterator[bytes]]:
        response = client.post(API, json={"rule": RULE, "start": "now-1h"}, buffered=False)
        return response, iter(response.response)

    held = [begin() for _ in range(service.AT_ONCE)]
    refused = ask(client)

    assert refused.status_code == 503
    assert refused.get_json()["code"] == "too_busy"
    for response, body in held:
        assert orjson.loads(next(body))["progress"] < 1
        response.close()
    assert lines(ask(client))[-1]["data"]["spells_total"] == 1


@pytest.fixture
def as_token(services: Services) -> Callable[..., FlaskClient]:
    """Return a client with these permissions only."""

    def enter(*permissions: str) -> FlaskClient:
        sender = replace(LOCAL, kind="token", key="token:3", permissions=frozenset(permissions))
        return create_app(services, local=sender).test_client()

    return enter


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        (("query:read", "alert:read"), 200),
        (("query:read",), 403),
        (("alert:read",), 403),
    ],
)
def test_a_backtest_needs_both_the_alerts_and_the_data(
    as_token: Callable[..., FlaskClient], permissions: tuple[str, ...], status: int
) -> None:
    assert ask(as_token(*permissions)).status_code == status


def test_a_backtest_counts_as_a_query(as_token: Callable[..., FlaskClient]) -> None:
    response = ask(as_token("query:read", "alert:read"))

    assert int(response.headers["RateLimit-Remaining"]) < int(response.headers["RateLimit-Limit"])
