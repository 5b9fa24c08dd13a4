"""Rate limits over HTTP: who is limited, and what they are told."""

from __future__ import annotations

import pytest
from tidegauge.config import AccessConfig, Config, LimitsConfig

TOKEN = "a-long-enough-secret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
QUERY = "/prometheus/api/v1/query?query=1%2B1&time=4"


@pytest.fixture
def config() -> Config:
    return Config(
        access=AccessConfig(token=TOKEN, trusted_proxies="127.0.0.1/32"),
        limits=LimitsConfig(ingest_per_minute=2, query_per_minute=1, token_query_per_minute=3),
    )


def ask(client, *, sender: str = "192.0.2.7", path: str = QUERY):
    return client.get(path, headers={**BEARER, "X-Forwarded-For": sender})


def test_with_a_token_queries_are_counted_for_the_token(client) -> None:
    answers = [ask(client, sender=f"192.0.2.{number}") for number in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["RateLimit-Remaining"] for one in answers] == ["2", "1", "0", "0"]
    assert answers[0].headers["RateLimit-Limit"] == "3"


def test_a_refusal_says_when_to_come_back_and_which_setting_it_is(client, services) -> None:
    *_, refused = [ask(client) for _ in range(4)]

    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Reset"] == refused.headers["Retry-After"]
    assert refused.get_json()["errorType"] == "too_many_requests"
    assert "TIDEGAUGE_RATE_TOKEN_QUERY_PER_MINUTE" in refused.get_json()["error"]
    assert b'ratelimit_rejected_total{kind="query"} 1.0' in services.meters.render()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/alerts/explain?alertname=A"),
        ("GET", "/api/v1/alerts/statistics"),
        ("POST", "/api/v1/silences/preview"),
        ("POST", "/api/v1/maintenance-windows/preview"),
    ],
)
def test_what_asks_as_much_as_a_query_is_counted_as_one(client, method: str, path: str) -> None:
    for _ in range(3):
        ask(client)

    refused = client.open(path, method=method, json={}, headers=BEARER)

    assert refused.status_code == 429
    assert "TIDEGAUGE_RATE_TOKEN_QUERY_PER_MINUTE" in refused.get_json()["error"]


def test_ingestion_is_counted_for_the_address(client) -> None:
    def push(sender: str) -> int:
        return client.post(
            "/api/v1/metrics", data=b"[]", headers={**BEARER, "X-Forwarded-For": sender}
        ).status_code

    assert [push("192.0.2.1") for _ in range(3)][2] == 429
    assert push("192.0.2.2") != 429


def test_programs_on_this_machine_are_not_limited(client) -> None:
    answers = [client.get(QUERY) for _ in range(10)]

    assert {one.status_code for one in answers} == {200}
    assert "RateLimit-Limit" not in answers[0].headers


def test_probes_are_not_limited(client) -> None:
    assert {ask(client, path="/health/live").status_code for _ in range(10)} == {200}
