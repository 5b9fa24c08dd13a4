"""The whole application on a real PostgreSQL: in through HTTP, out through HTTP."""

from __future__ import annotations

import dataclasses
import io
import threading
import time
from collections.abc import Callable, Iterator

import orjson
import psycopg2
import pytest
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.config import AccessConfig, Config, DatabaseConfig, QueryConfig
from tidegauge.observability.logs import make_logger
from tidegauge.services import Services, build_services

from tests.support import wire

pytestmark = pytest.mark.services

API = "/prometheus/api/v1"


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        access=AccessConfig(loopback="open"),
        database=DatabaseConfig(url=migrated_database_url),
        query=QueryConfig(timeout_s=1),
    )


@pytest.fixture
def open_services(config: Config) -> Iterator[Callable[..., Services]]:
    """Build started services on the one database, as often as a test wants; closed at the end."""
    log = make_logger(io.BytesIO(), level="info", service="api", clock_ms=lambda: 0)
    made: list[Services] = []

    def build(settings: Config = config) -> Services:
        made.append(build_services(settings, log=log))
        return made[-1]

    yield build
    for services in made:
        services.close()


@pytest.fixture
def services(open_services: Callable[..., Services]) -> Services:
    return open_services()


@pytest.fixture
def now_ms() -> int:
    """A round moment within the last minute."""
    return time.time_ns() // 1_000_000 // 1000 * 1000


def send_points(client: FlaskClient, count: int, now_ms: int) -> None:
    points = [
        {"name": "cpu", "value": number, "tags": {"host": f"h{number % 3}"}, "timestamp": now_ms}
        for number in range(count)
    ]
    response = client.post("/api/v1/metrics", data=orjson.dumps(points))
    assert response.get_json() == {"accepted": count, "rejected": 0, "errors": []}


def test_json_points_come_out_of_both_query_apis(client: FlaskClient, now_ms: int) -> None:
    send_points(client, 6, now_ms)

    native = client.post("/api/v1/query", json={"query": "sum by (host) (cpu)"}).get_json()
    prometheus = client.get(f"{API}/query?query=sum(cpu)").get_json()

    # The last write of a series and time wins: 3, 4 and 5.
    assert [point["value"] for point in native["data"]] == [3.0, 4.0, 5.0]
    assert prometheus["data"]["result"][0]["value"][1] == "12"


def test_remote_write_comes_out_as_it_went_in(client: FlaskClient, now_ms: int) -> None:
    points = [(now_ms - 60_000 + 15_000 * step, float(step)) for step in range(5)]
    body = wire.compress(wire.write_request([({"__name__": "up", "job": "x"}, points)]))

    assert client.post(f"{API}/write", data=body, headers=wire.HEADERS).status_code == 204

    found = client.get(f"{API}/query?query=up[2m]").get_json()["data"]["result"]
    assert found == [
        {
            "metric": {"__name__": "up", "job": "x"},
            "values": [[at / 1000, str(int(value))] for at, value in points],
        }
    ]


def test_listings_come_from_the_catalogue(client: FlaskClient, now_ms: int) -> None:
    send_points(client, 3, now_ms)

    assert client.get(f"{API}/labels").get_json()["data"] == ["__name__", "host"]
    values = client.get(f"{API}/label/host/values?match[]=cpu{{host!='h1'}}").get_json()
    assert values["data"] == ["h0", "h2"]
    assert len(client.get(f"{API}/series?match[]=cpu").get_json()["data"]) == 3
    (metric,) = client.get("/api/v1/metrics").get_json()["data"]
    assert (metric["name"], metric["series"]) == ("cpu", 3)
    assert client.get("/api/v1/metrics/cpu/tags").get_json()["data"] == {"host": ["h0", "h1", "h2"]}


def test_what_was_accepted_is_there_after_a_restart(
    client: FlaskClient, services: Services, open_services: Callable[..., Services], now_ms: int
) -> None:
    send_points(client, 3, now_ms)
    services.close()

    again = create_app(open_services()).test_client()

    assert len(again.get(f"{API}/query?query=cpu").get_json()["data"]["result"]) == 3


def test_closing_answers_every_request_under_way(
    services: Services, open_services: Callable[..., Services], now_ms: int
) -> None:
    app = create_app(services)
    statuses: list[tuple[int, int]] = []

    def send(number: int) -> None:
        point = {"name": "burst", "value": number, "tags": {"n": str(number)}, "timestamp": now_ms}
        response = app.test_client().post("/api/v1/metrics", data=orjson.dumps([point]))
        statuses.append((number, response.status_code))

    senders = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for sender in senders:
        sender.start()
    services.close()
    for sender in senders:
        sender.join(30)

    assert len(statuses) == 8
    assert {status for _, status in statuses} <= {202, 503}
    stored = create_app(open_services()).test_client().get(f"{API}/query?query=burst").get_json()
    found = {int(row["metric"]["n"]) for row in stored["data"]["result"]}
    assert {number for number, status in statuses if status == 202} <= found


def test_a_query_beyond_its_time_is_cancelled_in_the_database(
    client: FlaskClient, config: Config, now_ms: int
) -> None:
    send_points(client, 3, now_ms)
    with psycopg2.connect(config.database.url) as connection, connection.cursor() as cursor:
        # Every read of samples waits behind this lock.
        cursor.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE tablename LIKE 'arrivals%'"
        )
        tables = [name for (name,) in cursor.fetchall()]
        assert tables
        for table in tables:
            cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

        response = client.get(f"{API}/query?query=cpu")

        assert response.status_code == 503
        assert response.get_json()["errorType"] == "timeout"
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
            " AND datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone() == (0,)


def test_health_measures_the_database(client: FlaskClient) -> None:
    body = client.get("/health").get_json()

    assert body["status"] == "healthy"
    assert body["checks"]["database"]["latency_ms"] > 0


def test_a_database_that_is_away_is_503_and_not_ready(
    open_services: Callable[..., Services], config: Config
) -> None:
    away = DatabaseConfig(url="postgresql://x@127.0.0.1:1/none?connect_timeout=1")
    client = create_app(open_services(dataclasses.replace(config, database=away))).test_client()

    query = client.get(f"{API}/query?query=up")
    labels = client.get(f"{API}/labels")

    assert query.status_code == labels.status_code == 503
    assert query.get_json()["errorType"] in ("unavailable", "timeout")
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
