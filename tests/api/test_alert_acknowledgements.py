"""`/api/v1/alerts/<id>/acknowledge`: taken on, shown, told no more, taken back."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.principal import STRANGER, Principal, person
from tidegauge.config import Config, DatabaseConfig, TraceConfig
from tidegauge.model.alerts import AlertInstance, AlertState
from tidegauge.services import Services

from tests.support.alerts import ENTRY, make_change, make_evaluated, make_rule

API = "/api/v1/alerts"
EDITOR, VIEWER = person(7, "bob", "editor"), person(8, "eve", "viewer")


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url), trace=TraceConfig(own_metrics_s=0)
    )


@pytest.fixture
def path(services: Services) -> str:
    """Where a rule is of which the alerts of the hosts a and b fire."""
    tables = services.storage.alerts
    assert tables is not None
    lease = tables.open_lease("test", 0).take()
    assert lease is not None
    rule = tables.rules.add(make_rule(), ENTRY).rule
    firing = [
        AlertInstance((("host", host),), AlertState.FIRING, value=6.0, active_ms=1000, fired_ms=2)
        for host in "ab"
    ]
    evaluated = make_evaluated(rule, *(make_change(rule, one) for one in firing))
    tables.changes.write(lease.token, [evaluated])
    return f"{API}/{rule.id}"


def client_of(services: Services, principal: Principal) -> FlaskClient:
    return create_app(services, local=principal).test_client()


@pytest.fixture
def bob(services: Services) -> FlaskClient:
    return client_of(services, EDITOR)


def taken(client: FlaskClient, path: str) -> dict[str, Any]:
    """Return who has taken on the alert of each host."""
    alerts = client.get(path).get_json()["data"]["alerts"]
    return {
        one["labels"]["host"]: one["acknowledgement"] and one["acknowledgement"]["by"]
        for one in alerts
    }


def test_an_alert_is_acknowledged_by_its_labels_and_shows_it(bob: FlaskClient, path: str) -> None:
    body = {"labels": {"host": "a"}, "comment": "on it"}

    answer = bob.post(f"{path}/acknowledge", json=body)

    (row,) = answer.get_json()["data"]
    assert row["labels"] == {"alertname": "hot", "host": "a", "severity": "warning"}
    said = row["acknowledgement"]
    assert (said["by"], said["comment"], said["keep_repeating"]) == ("bob", "on it", False)
    assert taken(bob, path) == {"a": "bob", "b": None}
    history = bob.get(f"{path}/history").get_json()["data"]
    assert [one["acknowledgement"] for one in history] == [None, said]


def test_one_is_acknowledged_by_its_fingerprint(bob: FlaskClient, path: str) -> None:
    second = bob.get(path).get_json()["data"]["alerts"][1]

    bob.post(f"{path}/acknowledge", json={"fingerprint": second["fingerprint"]})

    host = second["labels"]["host"]
    assert {name for name, by in taken(bob, path).items() if by} == {host}


def test_without_labels_all_that_fire_are_acknowledged(bob: FlaskClient, path: str) -> None:
    assert bob.post(f"{path}/acknowledge", json={}).status_code == 200

    assert taken(bob, path) == {"a": "bob", "b": "bob"}


def test_it_is_taken_back(bob: FlaskClient, path: str) -> None:
    bob.post(f"{path}/acknowledge", json={})
    first = bob.get(path).get_json()["data"]["alerts"][0]

    gone = bob.delete(f"{path}/acknowledge?fingerprint={first['fingerprint']}")

    assert [one["labels"] for one in gone.get_json()["data"]] == [first["labels"]]
    assert [by for by in taken(bob, path).values() if by] == ["bob"]
    assert bob.delete(f"{path}/acknowledge").status_code == 200
    assert bob.delete(f"{path}/acknowledge").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"labels": {"host": "c"}}, 404),
        ({"fingerprint": "00"}, 404),
        ({"comment": "x" * 2000}, 400),
        ({"comment": "\0"}, 400),
        ({"colour": "red"}, 400),
    ],
)
def test_what_makes_no_sense_is_refused(
    bob: FlaskClient, path: str, body: dict[str, object], status: int
) -> None:
    assert bob.post(f"{path}/acknowledge", json=body).status_code == status
    assert taken(bob, path) == {"a": None, "b": None}


@pytest.mark.parametrize("number", ["7", "99999999999"])
def test_a_rule_that_is_not_there_has_nothing_to_acknowledge(bob: FlaskClient, number: str) -> None:
    assert bob.post(f"{API}/{number}/acknowledge", json={}).status_code == 404


def test_who_only_looks_on_acknowledges_nothing(services: Services, path: str) -> None:
    for principal, status in ((STRANGER, 401), (VIEWER, 403)):
        client = client_of(services, principal)
        assert client.post(f"{path}/acknowledge", json={}).status_code == status
        assert client.delete(f"{path}/acknowledge").status_code == status


def test_it_is_in_the_audit_log(services: Services, bob: FlaskClient, path: str) -> None:
    bob.post(f"{path}/acknowledge", json={"comment": "on it"})
    bob.delete(f"{path}/acknowledge")

    assert services.people is not None
    target = f"alert:{path.rpartition('/')[2]}"
    rows = services.people.audit.read(before=None, target=target, limit=2)
    assert [row.entry.action for row in rows] == ["alert.unacknowledge", "alert.acknowledge"]
    assert {row.entry.actor_name for row in rows} == {"bob"}
