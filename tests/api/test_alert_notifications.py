"""`/api/v1/alerts/<id>/notifications`: the delivery log, page by page, without secrets."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.principal import LOCAL, STRANGER, Principal
from tidegauge.config import Config, DatabaseConfig, TraceConfig
from tidegauge.services import Services
from tidegauge.storage.outbox import NewNotification, enqueue
from tidegauge.storage.pool import Pool

from tests.support.alerts import ENTRY, make_rule

HOOK = {"type": "webhook", "target": "https://ada:pw@example.org/T0/secret", "secret": "secret"}


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url), trace=TraceConfig(own_metrics_s=0)
    )


@pytest.fixture
def told(services: Services, config: Config) -> str:
    """The path of the log of a rule with three notifications: sent, failed and pending."""
    tables = services.storage.alerts
    assert tables is not None
    rule_id = tables.rules.add(make_rule(channels=(HOOK,)), ENTRY).rule.id
    pool = Pool.from_config(config.database, url=config.database.url)
    with pool.transaction() as lent:
        statuses = ("firing", "repeat", "resolved")
        enqueue(
            lent,
            [
                NewNotification(
                    9,
                    rule_id,
                    HOOK,
                    {"status": one, "labels": {"n": one}},
                    receiver="dba",
                    group_key=one,
                )
                for one in statuses
            ],
        )
    pool.close()
    first, second, third = tables.outbox.claim_due(limit=9, claim_s=60)
    tables.outbox.mark_sent(first, answer="200 OK")
    tables.outbox.mark_failed(second, answer="500 no")
    tables.outbox.mark_for_retry(third, after_s=60, answer="503 later")
    return f"/api/v1/alerts/{rule_id}/notifications"


def client_of(services: Services, principal: Principal) -> FlaskClient:
    return create_app(services, local=principal).test_client()


def test_the_log_says_what_came_of_each_newest_first(services: Services, told: str) -> None:
    rows: list[dict[str, Any]] = client_of(services, LOCAL).get(told).get_json()["data"]

    said = [(row["status"], row["state"], row["attempts"], row["answer"]) for row in rows]
    assert said == [
        ("resolved", "pending", 1, "503 later"),
        ("repeat", "failed", 1, "500 no"),
        ("firing", "sent", 1, "200 OK"),
    ]
    assert rows[0]["next_attempt_at"] > rows[0]["created_at"]
    assert rows[0]["finished_at"] is None
    assert rows[2]["next_attempt_at"] is None
    assert rows[2]["finished_at"] >= rows[2]["created_at"]
    assert rows[2]["labels"] == {"n": "firing"}
    assert (rows[2]["receiver"], rows[2]["group_key"]) == ("dba", "firing")


def test_no_secret_of_a_channel_is_shown(services: Services, told: str) -> None:
    answer = client_of(services, LOCAL).get(told)

    assert answer.get_json()["data"][0]["channel"] == {
        "type": "webhook",
        "target": "https://example.org",
    }
    assert "secret" not in answer.get_data(as_text=True)


def test_pages_follow_one_another(services: Services, told: str) -> None:
    client = client_of(services, LOCAL)

    first = client.get(f"{told}?limit=2").get_json()
    second = client.get(f"{told}?limit=2&before={first['next']}").get_json()

    assert [row["status"] for row in first["data"] + second["data"]] == [
        "resolved",
        "repeat",
        "firing",
    ]
    assert second["next"] is None


def test_who_may_not_see_alerts_sees_no_log(services: Services, told: str) -> None:
    assert client_of(services, STRANGER).get(told).status_code == 401


@pytest.mark.parametrize("path", ["7", "99999999999"])
def test_a_rule_that_is_not_there_has_no_log(services: Services, path: str) -> None:
    answer = client_of(services, LOCAL).get(f"/api/v1/alerts/{path}/notifications")

    assert answer.status_code == 404
