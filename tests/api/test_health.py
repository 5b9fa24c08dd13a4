"""Health, probes and our own instruments (SPEC §9)."""

from __future__ import annotations

from tidegauge import __version__
from tidegauge.errors import Unavailable


def test_health_names_its_checks(client) -> None:
    body = client.get("/health").get_json()

    assert body["status"] == "healthy"
    assert body["version"] == __version__
    assert body["uptime_seconds"] >= 0
    assert body["checks"]["database"]["status"] == "healthy"
    assert body["checks"]["database"]["latency_ms"] >= 0
    assert body["checks"]["queue"]["queue_depth"] == 0
    assert body["checks"]["writer"]["status"] == "healthy"


def test_a_database_that_is_away_makes_it_unhealthy_and_not_ready(client, database) -> None:
    database.fault = Unavailable("the database is away")

    health, ready = client.get("/health"), client.get("/health/ready")

    assert health.status_code == ready.status_code == 503
    assert health.get_json()["status"] == "unhealthy"
    assert health.get_json()["checks"]["database"]["error"] == "the database is away"
    assert client.get("/health/live").status_code == 200


def test_ready_says_so(client) -> None:
    response = client.get("/health/ready")

    assert (response.status_code, response.get_json()) == (200, {"status": "ready"})


def test_closed_services_are_not_ready(client, services) -> None:
    services.close()

    assert client.get("/health/ready").status_code == 503


def test_queries_show_in_the_exposition(client) -> None:
    client.get("/prometheus/api/v1/query?query=1")
    client.get("/prometheus/api/v1/query?query=1&timeout=0")

    response = client.get("/metrics")

    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    text = response.get_data(as_text=True)
    assert 'query_requests_total{kind="instant",outcome="success"} 1.0' in text
    assert 'query_requests_total{kind="instant",outcome="timeout"} 1.0' in text
    assert 'query_latency_seconds_count{kind="instant"} 2.0' in text
    assert "queue_depth 0.0" in text
