"""GET /api/v1/metrics and /api/v1/metrics/<name>/tags (SPEC §3)."""

from __future__ import annotations

import pytest

NOW_MS = 1_700_000_000_000


@pytest.fixture
def fleet(push) -> None:
    """Three metrics; one of them with three series."""
    for host, env in (("a", "prod"), ("b", "prod"), ("c", "dev")):
        push("cpu_usage", 1.0, {"host": host, "env": env}, NOW_MS)
    push("cpu_idle", 1.0, {"host": "a"}, NOW_MS)
    push("mem", 1.0, {}, NOW_MS)


def test_metrics_are_listed_by_name(client, fleet) -> None:
    body = client.get("/api/v1/metrics").get_json()

    assert [row["name"] for row in body["data"]] == ["cpu_idle", "cpu_usage", "mem"]
    assert body["next"] is None
    usage = body["data"][1]
    assert list(usage) == ["name", "type", "unit", "description", "series", "last_seen"]
    assert usage["series"] == 3
    assert usage["last_seen"] == NOW_MS


def test_metrics_can_be_searched(client, fleet) -> None:
    body = client.get("/api/v1/metrics?search=usa").get_json()

    assert [row["name"] for row in body["data"]] == ["cpu_usage"]


def test_pages_follow_each_other_without_gap_or_repeat(client, fleet) -> None:
    first = client.get("/api/v1/metrics?limit=2").get_json()
    second = client.get(
        "/api/v1/metrics", query_string={"limit": 2, "after": first["next"]}
    ).get_json()

    assert first["next"] == "cpu_usage"
    assert [row["name"] for row in first["data"] + second["data"]] == [
        "cpu_idle",
        "cpu_usage",
        "mem",
    ]
    assert second["next"] is None


def test_too_large_a_page_is_400(client) -> None:
    response = client.get("/api/v1/metrics?limit=1001")

    assert response.status_code == 400
    assert "1001 is above 1000" in response.get_json()["error"]


def test_tags_of_a_metric_with_their_values(client, fleet) -> None:
    body = client.get("/api/v1/metrics/cpu_usage/tags").get_json()

    assert body == {
        "data": {"env": ["dev", "prod"], "host": ["a", "b", "c"]},
        "truncated": [],
    }


def test_a_metric_without_tags_has_none(client, fleet) -> None:
    assert client.get("/api/v1/metrics/mem/tags").get_json()["data"] == {}


@pytest.mark.parametrize(
    ("query", "data"),
    [
        ("key=env", {"env": ["dev", "prod"]}),
        ("match={env=%22prod%22}", {"env": ["prod"], "host": ["a", "b"]}),
        ("match={host=%22c%22}&key=env", {"env": ["dev"]}),
        ("match={host=%22c%22}&match={host=%22a%22}&key=host", {"host": ["a", "c"]}),
    ],
)
def test_tags_by_key_and_match(client, fleet, query: str, data) -> None:
    assert client.get(f"/api/v1/metrics/cpu_usage/tags?{query}").get_json()["data"] == data


def test_a_limit_cuts_the_values_of_each_key_and_says_which(client, fleet) -> None:
    body = client.get("/api/v1/metrics/cpu_usage/tags?limit=2").get_json()

    assert body["data"]["host"] == ["a", "b"]
    assert body["truncated"] == ["host"]


@pytest.mark.parametrize("path", ["nothing/tags", "cpu_usage/tags?key=nothing"])
def test_what_does_not_exist_is_404(client, fleet, path: str) -> None:
    response = client.get(f"/api/v1/metrics/{path}")

    assert response.status_code == 404
    assert response.get_json()["code"] == "not_found"


def test_a_match_that_does_not_parse_is_400(client, fleet) -> None:
    response = client.get("/api/v1/metrics/cpu_usage/tags?match=x{")

    assert response.status_code == 400
    assert response.get_json()["code"] == "parse"
    assert response.get_json()["position"]["column"] == 3


def test_metadata_shows_in_the_list(client, push, push_metadata) -> None:
    push("hits_total", 1.0, {}, NOW_MS)
    push_metadata("hits_total", type="counter", help="Hits.", unit="")

    (row,) = client.get("/api/v1/metrics").get_json()["data"]

    assert (row["type"], row["description"]) == ("counter", "Hits.")
