"""`/alertmanager/api/v2` on a real database: alerts in and out, groups, status, receivers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.permissions import permissions_of_token
from tidegauge.auth.principal import LOCAL, person
from tidegauge.config import AlertsConfig, Config, DatabaseConfig, TraceConfig
from tidegauge.model.alerts import AlertInstance, AlertState
from tidegauge.services import Services
from tidegauge.storage.alert_events import AlertEvent

from tests.support.alerts import ENTRY, make_change, make_evaluated, make_rule

API = "/alertmanager/api/v2"
LONG_AGO, FAR = "2020-01-01T00:00:00Z", "2099-01-01T00:00:00.000Z"
HOT = {"alertname": "hot", "host": "a"}
MOST = 4


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url),
        trace=TraceConfig(own_metrics_s=0),
        alerts=AlertsConfig(posted_max=MOST),
    )


def post(client: FlaskClient, *alerts: dict[str, Any]) -> tuple[int, str]:
    response = client.post(f"{API}/alerts", json=list(alerts))
    return response.status_code, response.get_data(as_text=True)


def post_one(client: FlaskClient, labels: dict[str, str] = HOT, **fields: str) -> None:
    given = {"startsAt": LONG_AGO, "endsAt": FAR, **fields}
    assert post(client, {"labels": labels, **given}) == (200, "")


def listed(client: FlaskClient, query: str = "") -> list[dict[str, Any]]:
    response = client.get(f"{API}/alerts{query}")
    assert response.status_code == 200, response.get_data(as_text=True)
    found: list[dict[str, Any]] = response.get_json()
    return found


def names(found: list[dict[str, Any]]) -> list[str]:
    return sorted(one["labels"]["alertname"] for one in found)


def silence(client: FlaskClient, name: str) -> str:
    body = {"matchers": [{"name": "alertname", "value": name}], "ends_at": "now+1h"}
    made = client.post("/api/v1/silences", json=body)
    assert made.status_code == 201, made.get_data(as_text=True)
    return str(made.get_json()["data"]["id"])


def read_events(services: Services) -> list[AlertEvent]:
    assert services.storage.alerts is not None
    found = services.storage.alerts.events.read_range(start_ms=0, end_ms=2**42, limit=99)
    return found[::-1]


def test_a_posted_alert_is_listed_in_alertmanagers_form(client: FlaskClient) -> None:
    post_one(client, annotations={"summary": "too hot"}, generatorURL="http://p/graph")

    (shown,) = listed(client)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown.pop("updatedAt"))
    assert shown == {
        "annotations": {"summary": "too hot"},
        "endsAt": FAR,
        # FNV-1a, as in Prometheus.
        "fingerprint": "4d4ab6be9244a456",
        "receivers": [{"name": "nobody"}],
        "startsAt": "2020-01-01T00:00:00.000Z",
        "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
        "generatorURL": "http://p/graph",
        "labels": HOT,
    }


def test_a_repeated_post_is_one_alert_with_one_event(
    client: FlaskClient, services: Services
) -> None:
    for _ in range(3):
        post_one(client)

    assert len(listed(client)) == 1
    (event,) = read_events(services)
    assert (event.rule_id, event.rule_name, event.severity) == (None, "hot", "")
    assert (event.previous, event.state) == (AlertState.INACTIVE, AlertState.FIRING)
    assert event.labels == tuple(HOT.items())


def test_an_end_that_is_posted_resolves_and_stays_resolved(
    client: FlaskClient, services: Services
) -> None:
    post_one(client)
    for _ in range(2):
        post_one(client, endsAt="2020-01-02T00:00:00Z")

    assert listed(client) == []
    assert [one.state for one in read_events(services)] == [
        AlertState.FIRING,
        AlertState.RESOLVED,
    ]


def test_an_end_of_what_nobody_knows_leaves_no_trace(
    client: FlaskClient, services: Services
) -> None:
    post_one(client, endsAt="2020-01-02T00:00:00Z")

    assert (listed(client), read_events(services)) == ([], [])


def test_times_that_a_sender_leaves_out_are_now_and_in_five_minutes(
    client: FlaskClient, services: Services
) -> None:
    assert post(client, {"labels": HOT, "startsAt": "0001-01-01T00:00:00Z"})[0] == 200

    assert services.alertmanager is not None
    (alert,) = services.alertmanager.external.list_firing()
    assert alert.ends_ms - alert.starts_ms == 300_000
    assert alert.starts_ms == alert.updated_ms
    assert alert.timed_out


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        ({"labels": {}}, "no labels"),
        ({"labels": {"alertname": ""}}, "no labels"),
        ({"labels": {"": "x"}}, "no name"),
        ({"labels": {"a": "\0"}}, "cannot be stored"),
        ({"labels": {"a": "x" * 4097}}, "at most 4096"),
        ({"labels": {f"l{number}": "x" for number in range(65)}}, "at most 64"),
        ({"labels": HOT, "annotations": {"a": "x" * 65_537}}, "at most 65536"),
        ({"labels": HOT, "annotations": dict.fromkeys("abc", "x" * 60_000)}, "at most 131072"),
        ({"labels": HOT, "generatorURL": "x" * 16_385}, "at most 16384"),
        ({"labels": HOT, "startsAt": "soon"}, "soon"),
        ({"labels": HOT, "startsAt": FAR, "endsAt": LONG_AGO}, "before startsAt"),
    ],
)
def test_a_wrong_alert_is_refused_and_those_beside_it_are_taken_in(
    client: FlaskClient, alert: dict[str, Any], said: str
) -> None:
    status, body = post(client, alert, {"labels": {"alertname": "right"}, "endsAt": FAR})

    assert status == 400
    assert said in body
    assert body.startswith('"')
    assert names(listed(client)) == ["right"]


@pytest.mark.parametrize("body", ["{}", "[1]", '[{"annotations": {}}]', "["])
def test_a_body_that_is_no_list_of_alerts_is_refused(client: FlaskClient, body: str) -> None:
    response = client.post(f"{API}/alerts", data=body)

    assert response.status_code == 400
    assert isinstance(response.get_json(), str)


def test_of_too_many_alerts_none_is_looked_at(client: FlaskClient) -> None:
    answer = post(client, *[{"labels": HOT, "startsAt": "never"}] * 2001)

    assert answer == (400, '"2001 alerts in one request, at most 2000 go in"')


def test_bounds_on_a_request_and_on_all_alerts_are_told(client: FlaskClient) -> None:
    many = [{"labels": {"alertname": f"n{number}"}, "endsAt": FAR} for number in range(MOST + 2)]

    status, said = post(client, *many)
    again = post(client, many[0])
    too_many = post(client, *[many[0]] * 2001)
    too_long = client.post(f"{API}/alerts", data=b" " * (8 * 1024 * 1024 + 1))

    assert status == 400
    assert "2 alerts are not taken in" in said
    assert "TIDEGAUGE_ALERTS_POSTED_MAX" in said
    assert len(listed(client)) == MOST
    assert again == (200, "")
    assert too_many[0] == 400
    assert too_long.status_code == 413


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("?active=false", ["quiet"]),
        ("?silenced=false", ["hot", "rule"]),
        ("?active=false&silenced=false", []),
        ("?inhibited=false&unprocessed=false", ["hot", "quiet", "rule"]),
        ('?filter=alertname="hot"', ["hot"]),
        ("?filter=alertname=~h.%2B|quiet&filter=host!=a", ["quiet"]),
        ("?filter=alertname!~%22h.*%22", ["quiet", "rule"]),
        ('?filter="host"=""', ["quiet"]),
        ("?receiver=nobody", ["hot", "quiet"]),
        ("?receiver=rule.*", ["rule"]),
        ("?receiver_matchers=owner=me", []),
        ("?receiver_matchers=owner!=me", ["hot", "quiet", "rule"]),
    ],
)
def test_alerts_are_chosen_by_state_matchers_and_receiver(
    client: FlaskClient, services: Services, query: str, wanted: list[str]
) -> None:
    post_one(client)
    post_one(client, {"alertname": "quiet"})
    fire_a_rule(services, "rule")
    silence(client, "quiet")

    assert names(listed(client, query)) == wanted


def fire_a_rule(services: Services, name: str) -> int:
    tables = services.storage.alerts
    assert tables is not None
    rule = tables.rules.add(make_rule(name=name), ENTRY).rule
    lease = tables.open_lease("test", 0).take()
    assert lease is not None
    alert = AlertInstance(
        (("host", "a"),), AlertState.FIRING, value=6.0, active_ms=1000, fired_ms=2000
    )
    tables.changes.write(lease.token, [make_evaluated(rule, make_change(rule, alert, told=False))])
    return rule.id


def test_an_alert_of_our_own_is_listed_with_its_rule_as_receiver(
    client: FlaskClient, services: Services
) -> None:
    rule_id = fire_a_rule(services, "hot")

    (shown,) = listed(client)

    assert shown["labels"] == {"alertname": "hot", "host": "a", "severity": "warning"}
    assert shown["receivers"] == [{"name": f"rule {rule_id}"}]
    assert shown["startsAt"] == "1970-01-01T00:00:01.000Z"
    assert shown["endsAt"] > shown["updatedAt"]


def test_a_silenced_alert_is_suppressed_and_names_the_silence(client: FlaskClient) -> None:
    post_one(client)
    number = silence(client, "hot")

    (shown,) = listed(client)

    assert shown["status"] == {
        "inhibitedBy": [],
        "mutedBy": [],
        "silencedBy": [number],
        "state": "suppressed",
    }


def test_groups_are_by_who_hears_of_them_together(client: FlaskClient, services: Services) -> None:
    post_one(client)
    post_one(client, {"alertname": "quiet"})
    rule_id = fire_a_rule(services, "warm")
    silence(client, "warm")

    groups = client.get(f"{API}/alerts/groups").get_json()
    unmuted = client.get(f"{API}/alerts/groups?muted=false").get_json()

    assert [(one["receiver"]["name"], one["labels"]) for one in groups] == [
        ("nobody", {}),
        (f"rule {rule_id}", {"alertname": "warm"}),
    ]
    assert [names(one["alerts"]) for one in groups] == [["hot", "quiet"], ["warm"]]
    assert groups[0]["routeLabels"] == {}
    assert [one["receiver"]["name"] for one in unmuted] == ["nobody"]


def test_status_has_what_grafana_and_amtool_read(client: FlaskClient) -> None:
    shown = client.get(f"{API}/status").get_json()

    assert shown["cluster"] == {"status": "disabled", "peers": []}
    assert set(shown["versionInfo"]) == {
        "version",
        "revision",
        "branch",
        "buildUser",
        "buildDate",
        "goVersion",
    }
    assert yaml.safe_load(shown["config"]["original"]) == {
        "route": {"receiver": "nobody"},
        "receivers": [{"name": "nobody"}],
    }
    assert client.get(f"{API}/receivers").get_json() == [{"name": "nobody", "labels": {}}]
    # By this Grafana tells a Prometheus's Alertmanager from a Mimir's.
    assert client.get(f"/alertmanager{API}/status").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["alerts?filter=x", "alerts?filter=a=~(", "alerts/groups?receiver=(", "silences?filter=="],
)
def test_a_wrong_parameter_is_told_as_a_text(client: FlaskClient, path: str) -> None:
    response = client.get(f"{API}/{path}")

    assert response.status_code == 400
    assert isinstance(response.get_json(), str)


def test_machines_may_post_and_people_who_read_may_not(services: Services) -> None:
    scoped = {
        scope: replace(LOCAL, kind="token", permissions=permissions_of_token((scope,), "viewer"))
        for scope in ("ingest", "query")
    }
    who = {**scoped, "local": LOCAL, "viewer": person(7, "viewer", "viewer")}
    alert = [{"labels": HOT, "endsAt": FAR}]

    answers: dict[str, tuple[int, int]] = {}
    for name, principal in who.items():
        client = create_app(services, local=principal).test_client()
        posted, read = client.post(f"{API}/alerts", json=alert), client.get(f"{API}/alerts")
        answers[name] = (posted.status_code, read.status_code)

    assert answers == {
        "ingest": (200, 403),
        "query": (403, 200),
        "local": (200, 200),
        "viewer": (403, 200),
    }


def test_without_a_database_the_sender_is_told_to_come_again(idle_services: Services) -> None:
    client = create_app(idle_services, local=LOCAL).test_client()

    response = client.post(f"{API}/alerts", json=[{"labels": HOT}])

    assert response.status_code == 503
    assert "Retry-After" in response.headers
    assert isinstance(response.get_json(), str)
