"""`/api/v1/alerts` on a real database: owner, member, stranger, and what they may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.actor import SYSTEM
from tidegauge.auth.principal import LOCAL, Principal, person
from tidegauge.config import Config, DatabaseConfig, TraceConfig
from tidegauge.model.alerts import (
    AlertInstance,
    AlertState,
    Condition,
    LastEvaluation,
    RuleOrigin,
)
from tidegauge.model.recording import RecordingRule
from tidegauge.services import Services

from tests.support.alerts import ENTRY, make_change, make_evaluated, make_rule

API = "/api/v1/alerts"
PROMETHEUS = "/prometheus/api/v1"
HOOK = {"type": "webhook", "target": "https://example.org/secret-7", "secret": "secret-7"}
BODY = {"name": "hot", "query": "heat", "condition": "gt", "threshold": 5, "notification": HOOK}


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url), trace=TraceConfig(own_metrics_s=0)
    )


@pytest.fixture
def sign_in(services: Services) -> Callable[..., FlaskClient]:
    """Return a client of a new account."""

    def enter(name: str, role: Any = "editor") -> FlaskClient:
        assert services.people is not None
        made = services.people.accounts.create_user(name, "long enough 7", role, SYSTEM)
        return client_of(services, person(made.id, name, role))

    return enter


@pytest.fixture
def ada(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    return sign_in("ada")


def client_of(services: Services, principal: Principal) -> FlaskClient:
    return create_app(services, local=principal).test_client()


def add(client: FlaskClient, **fields: object) -> dict[str, Any]:
    response = client.post(API, json={**BODY, **fields})
    assert response.status_code == 201, response.get_data(as_text=True)
    return response.get_json()["data"]


def fire(services: Services, rule_id: int, *, held: bool = True) -> None:
    """Let an alert of a rule fire, as an evaluator would."""
    tables = services.storage.alerts
    assert tables is not None
    lease = tables.open_lease("test", 0).take()
    assert lease is not None
    rule = tables.rules.read(rule_id).rule
    alert = AlertInstance(
        (("host", "a"),), AlertState.FIRING, value=6.0, active_ms=1000, fired_ms=2000
    )
    tables.changes.write(lease.token, [make_evaluated(rule, make_change(rule, alert))])


def test_a_rule_gets_its_defaults_and_says_where_it_is(ada: FlaskClient) -> None:
    response = ada.post(API, json=BODY)
    added = response.get_json()["data"]

    assert response.headers["Location"] == f"{API}/{added['id']}"
    assert added == {
        "id": added["id"],
        "name": "hot",
        "query": "heat",
        "condition": "gt",
        "threshold": 5.0,
        "duration": "5m",
        "severity": "warning",
        "enabled": True,
        "notification": [HOOK],
        "labels": {},
        "annotations": {},
        "keep_firing_for": "0s",
        "no_data": "keep",
        "on_error": "keep",
        "interval": "10s",
        "repeat": "4h",
        "limit": 0,
        "query_offset": "0s",
        "owner_id": added["owner_id"],
        "file": None,
        "created_at": added["created_at"],
        "changed_at": added["changed_at"],
        "state": "inactive",
        "firing": 0,
        "pending": 0,
        "last_evaluation": None,
        "alerts": [],
    }
    assert ada.get(f"{API}/{added['id']}").get_json() == {"data": added}


def test_what_is_read_can_be_sent_back(ada: FlaskClient) -> None:
    given = {"duration": 90, "limit": 5, "query_offset": "1m"}
    made = add(ada, **given, labels={"team": "db"}, query="up == 0")
    body = {name: made[name] for name in made if name in {*BODY, *given, "labels", "no_data"}}

    changed = ada.put(f"{API}/{made['id']}", json=body).get_json()["data"]

    assert (made["duration"], made["no_data"]) == ("1m30s", "resolve")
    assert (made["limit"], made["query_offset"]) == (5, "1m")
    assert {**changed, "changed_at": 0} == {**made, "changed_at": 0}


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"query": "sum("}, 400, "parse error"),
        ({"query": "up[5m]"}, 400, "range vector"),
        ({"condition": "above"}, 400, "condition"),
        ({"severity": "bad"}, 400, "severity"),
        ({"duration": "soon"}, 400, "duration"),
        ({"limit": -1}, 400, "limit"),
        ({"query_offset": "soon"}, 400, "query_offset"),
        ({"duration": True}, 400, "duration"),
        ({"interval": "10ms"}, 400, "interval"),
        ({"threshold": "x"}, 400, "threshold"),
        ({"threshold": None}, 400, "threshold: it is missing"),
        ({"notification": {"type": "email"}}, 400, "target"),
        ({"notification": {**HOOK, "type": "pigeon"}}, 400, "pigeon"),
        ({"colour": "red"}, 400, "colour"),
    ],
)
def test_a_wrong_rule_is_refused(
    ada: FlaskClient, fields: dict[str, object], status: int, said: str
) -> None:
    response = ada.post(API, json={**BODY, **fields})

    assert response.status_code == status
    assert said in response.get_json()["error"]


def test_owner_and_admin_change_a_rule_others_only_see_it(
    services: Services, ada: FlaskClient, sign_in: Callable[..., FlaskClient]
) -> None:
    path = f"{API}/{add(ada)['id']}"
    member, viewer, admin = sign_in("bob"), sign_in("eve", "viewer"), sign_in("kim", "admin")
    stranger = client_of(services, replace(LOCAL, kind="stranger", permissions=frozenset()))

    for client, statuses in (
        (stranger, (401, 401, 401)),
        (viewer, (200, 403, 403)),
        (member, (200, 403, 403)),
        (admin, (200, 200, 200)),
    ):
        answers = (client.get(path), client.put(path, json=BODY), client.delete(path))
        assert tuple(one.status_code for one in answers) == statuses
    assert ada.get(path).status_code == 404
    own = f"{API}/{add(ada)['id']}"
    assert (ada.put(own, json=BODY).status_code, ada.delete(own).status_code) == (200, 200)


def test_whom_a_rule_tells_is_shown_to_who_may_change_it_only(
    ada: FlaskClient, sign_in: Callable[..., FlaskClient]
) -> None:
    path = f"{API}/{add(ada)['id']}"
    bob = sign_in("bob")

    assert ada.get(path).get_json()["data"]["notification"] == [HOOK]
    for response in (bob.get(path), bob.get(API)):
        assert "secret-7" not in response.get_data(as_text=True)
    shown = bob.get(path).get_json()["data"]["notification"]
    assert [one["type"] for one in shown] == ["webhook"]


def test_changes_are_in_the_audit_log(services: Services, ada: FlaskClient) -> None:
    rule_id = add(ada)["id"]
    ada.put(f"{API}/{rule_id}", json=BODY)
    ada.delete(f"{API}/{rule_id}")

    assert services.people is not None
    rows = services.people.audit.read(before=None, target=f"alert:{rule_id}", limit=9)

    assert [row.entry.action for row in rows] == ["alert.delete", "alert.update", "alert.create"]
    assert {row.entry.actor_name for row in rows} == {"ada"}
    assert all("secret-7" not in str(row) for row in rows)


def test_lists_are_paged(ada: FlaskClient) -> None:
    ids = [add(ada, name=str(number))["id"] for number in range(3)]

    first = ada.get(API, query_string={"limit": 2}).get_json()
    rest = ada.get(API, query_string={"limit": 2, "after": first["next_after"]}).get_json()

    assert [one["id"] for one in [*first["data"], *rest["data"]]] == ids
    assert rest["next_after"] is None


def test_alerts_and_their_history_are_shown(services: Services, ada: FlaskClient) -> None:
    path = f"{API}/{add(ada)['id']}"
    fire(services, int(path.rpartition("/")[2]))

    shown = ada.get(path).get_json()["data"]
    history = ada.get(f"{path}/history").get_json()

    assert (shown["state"], shown["firing"]) == ("firing", 1)
    assert shown["alerts"] == [
        {
            "fingerprint": shown["alerts"][0]["fingerprint"],
            "labels": {"alertname": "hot", "host": "a", "severity": "warning"},
            "annotations": {},
            "state": "firing",
            "value": 6.0,
            "active_at": 1000,
            "fired_at": 2000,
            "resolved_at": None,
            "acknowledgement": None,
            "notification_failed": False,
        }
    ]
    assert shown["last_evaluation"]["error"] == ""
    (event,) = history["data"]
    assert (event["previous"], event["state"], event["value"]) == ("inactive", "firing", 6.0)
    assert history["next"] is None
    assert ada.get(f"{path}/history?start=now").get_json()["data"] == []
    far = {"start": str(-(2**60)), "end": str(2**60)}
    assert len(ada.get(f"{path}/history", query_string=far).get_json()["data"]) == 1


@pytest.mark.parametrize(
    "change", ["deleted", "off", "another query", "another threshold", "nothing"]
)
def test_the_alerts_of_a_rule_end_when_it_asks_something_else(
    services: Services, ada: FlaskClient, change: str
) -> None:
    rule_id = add(ada)["id"]
    fire(services, rule_id)
    path = f"{API}/{rule_id}"

    if change == "deleted":
        ada.delete(path)
    else:
        other: dict[str, dict[str, object]] = {
            "off": {"enabled": False},
            "another query": {"query": "cold"},
            "another threshold": {"threshold": 7},
            "nothing": {},
        }
        ada.put(path, json={**BODY, **other[change]})

    assert services.storage.alerts is not None
    events = services.storage.alerts.events.read_range(start_ms=0, end_ms=2**45, limit=9)
    ended = [one.details["reason"] for one in events if one.state is AlertState.RESOLVED]
    assert (
        ended
        == {
            "deleted": ["the rule was deleted"],
            "off": ["the rule was switched off"],
            "another query": ["the rule's query was changed"],
            "another threshold": [],
            "nothing": [],
        }[change]
    )


def test_what_is_not_there_is_404(ada: FlaskClient) -> None:
    for path in (f"{API}/7", f"{API}/99999999999", f"{API}/7/history"):
        assert ada.get(path).status_code == 404
    assert ada.put(f"{API}/7", json=BODY).status_code == 404
    assert ada.delete(f"{API}/0").status_code == 404


def test_grafana_sees_the_rules_as_prometheus_shows_them(
    services: Services, ada: FlaskClient
) -> None:
    rule_id = add(ada, labels={"team": "db"}, annotations={"summary": "{{ $labels.host }}"})["id"]
    add(ada, name="slow", interval="1m")
    add(ada, name="off", enabled=False)
    fire(services, rule_id)

    groups = ada.get(f"{PROMETHEUS}/rules").get_json()["data"]["groups"]

    assert [one["name"] for one in groups] == ["every 10s", "every 1m"]
    alert = {
        "labels": {"alertname": "hot", "host": "a", "severity": "warning", "team": "db"},
        "annotations": {"summary": "a"},
        "state": "firing",
        "activeAt": "1970-01-01T00:00:01.000Z",
        "value": "6e+00",
    }
    assert groups[0] == {
        "name": "every 10s",
        "file": "tidegauge",
        "rules": [
            {
                "state": "firing",
                "name": "hot",
                "query": "(heat) > 5",
                "duration": 300.0,
                "keepFiringFor": 0.0,
                "labels": {"severity": "warning", "team": "db"},
                "annotations": {"summary": "{{ $labels.host }}"},
                "alerts": [alert],
                "health": "ok",
                "evaluationTime": 0.0025,
                "lastEvaluation": "1970-01-01T00:00:01.000Z",
                "type": "alerting",
            }
        ],
        "interval": 10.0,
        "limit": 0,
        "evaluationTime": 0.0025,
        "lastEvaluation": "1970-01-01T00:00:01.000Z",
    }
    (slow,) = groups[1]["rules"]
    assert (slow["state"], slow["health"], slow["alerts"]) == ("inactive", "unknown", [])
    assert slow["lastEvaluation"] == "0001-01-01T00:00:00Z"
    assert ada.get(f"{PROMETHEUS}/alerts").get_json()["data"] == {"alerts": [alert]}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("type=alert", ["a", "b", "c"]),
        ("type=record", []),
        ("rule_name[]=a&rule_name[]=c", ["a", "c"]),
        ("rule_name=b", ["b"]),
        ("rule_group[]=every 1m", ["c"]),
        ("file[]=tidegauge", ["a", "b", "c"]),
        ("file=elsewhere", []),
        ('match[]={team="db"}', ["b"]),
        ('match[]={team="db"}&match[]={severity="critical"}', ["b", "c"]),
        ("group_limit=1", ["a", "b"]),
    ],
)
def test_rules_are_found_as_grafana_looks_for_them(
    ada: FlaskClient, query: str, names: list[str]
) -> None:
    add(ada, name="a")
    add(ada, name="b", labels={"team": "db"})
    add(ada, name="c", interval="1m", severity="critical")

    groups = ada.get(f"{PROMETHEUS}/rules?{query}").get_json()["data"]["groups"]

    assert [rule["name"] for group in groups for rule in group["rules"]] == names
    assert all(group["rules"] for group in groups)


def test_groups_of_rules_are_paged(ada: FlaskClient) -> None:
    for seconds in (10, 20, 30):
        add(ada, interval=seconds)

    pages, token = [], ""
    while token is not None:
        query = {"group_limit": 1, "group_next_token": token}
        data = ada.get(f"{PROMETHEUS}/rules", query_string=query).get_json()["data"]
        pages.append([one["name"] for one in data["groups"]])
        token = data.get("groupNextToken")

    assert pages == [["every 10s"], ["every 20s"], ["every 30s"]]


def test_alerts_are_left_out_where_nobody_wants_them(services: Services, ada: FlaskClient) -> None:
    fire(services, add(ada)["id"])

    (group,) = ada.get(f"{PROMETHEUS}/rules?exclude_alerts=true").get_json()["data"]["groups"]

    assert (group["rules"][0]["state"], group["rules"][0]["alerts"]) == ("firing", [])


def test_events_of_alerts_are_annotations_in_grafana(services: Services, ada: FlaskClient) -> None:
    fire(services, add(ada)["id"])
    fire(services, add(ada, name="other")["id"])

    def ask(**payload: object) -> list[list[Any]]:
        target = {"refId": "Anno", "target": "alerts", "payload": payload}
        times = {"from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:01:00Z"}
        body = {"range": times, "targets": [target]}
        return ada.post("/grafana/json/query", json=body).get_json()[0]["rows"]

    rows = ask()

    assert [row[:4] for row in rows] == [
        [1000, None, "hot firing", "warning, value 6"],
        [1000, None, "other firing", "warning, value 6"],
    ]
    assert rows[0][4] == "firing,host:a,hot"
    assert [row[2] for row in ask(tags=["host:a", "other"])] == ["other firing"]
    assert len(ask(tags=["hot", "other"], match="any")) == 2


def test_a_rule_of_a_file_is_shown_like_one_and_changed_in_its_file_only(
    services: Services, ada: FlaskClient, sign_in: Callable[..., FlaskClient]
) -> None:
    tables = services.storage.alerts
    assert tables is not None
    origin = RuleOrigin("node.yml", "hosts", "down/1")
    fields = {"name": "down", "query": "up == 0", "condition": Condition.ANY}
    rule = tables.rules.add(make_rule(**fields, origin=origin), ENTRY).rule
    admin = sign_in("kim", "admin")

    (group,) = ada.get(f"{PROMETHEUS}/rules").get_json()["data"]["groups"]
    answers = (admin.put(f"{API}/{rule.id}", json=BODY), admin.delete(f"{API}/{rule.id}"))

    assert (group["file"], group["name"]) == ("node.yml", "hosts")
    assert group["rules"][0]["query"] == "up == 0"
    assert admin.get(f"{API}/{rule.id}").get_json()["data"]["file"] == "node.yml"
    assert [one.status_code for one in answers] == [409, 409]
    assert "node.yml" in answers[0].get_json()["error"]


def test_recording_rules_are_shown_in_the_order_of_their_group(
    services: Services, ada: FlaskClient
) -> None:
    tables = services.storage.alerts
    assert tables is not None
    in_group = {"interval_ms": 30_000, "limit": 7}
    origins = [RuleOrigin("a.yml", "g", place) for place in ("record b/1", "down/1", "record a/1")]
    first = RecordingRule("b", "sum(up)", {"team": "x"}, origin=origins[0], position=0, **in_group)
    rule = make_rule(name="down", query="b", origin=origins[1], position=1, **in_group)
    last = RecordingRule("a", "sum(b)", {}, origin=origins[2], position=2, **in_group)
    alert = tables.rules.add(rule, ENTRY).rule
    added = [tables.recordings.add(one, ENTRY) for one in (first, last)]
    failed = LastEvaluation(at_ms=61_000, took_ms=250, series=0, missed=0, error="no such thing")
    token = tables.open_lease("test", 9).take()
    assert token is not None
    tables.changes.write(token.token, [make_evaluated(alert)], [(added[0], failed)])

    (group,) = ada.get(f"{PROMETHEUS}/rules").get_json()["data"]["groups"]
    (of_kind,) = ada.get(f"{PROMETHEUS}/rules?type=record").get_json()["data"]["groups"]
    (found,) = ada.get(f"{PROMETHEUS}/rules?match[]={{team=%22x%22}}").get_json()["data"]["groups"]

    assert [one["name"] for one in group["rules"]] == ["b", "down", "a"]
    assert (group["limit"], group["interval"]) == (7, 30)
    assert [one["name"] for one in of_kind["rules"]] == ["b", "a"]
    assert found["rules"] == [
        {
            "name": "b",
            "query": "sum(up)",
            "labels": {"team": "x"},
            "health": "err",
            "lastError": "no such thing",
            "evaluationTime": 0.25,
            "lastEvaluation": "1970-01-01T00:01:01.000Z",
            "type": "recording",
        }
    ]
    assert group["rules"][2]["health"] == "unknown"


def test_an_alert_says_whether_somebody_was_to_hear_of_it_and_did_not(
    services: Services, ada: FlaskClient
) -> None:
    tables = services.storage.alerts
    assert tables is not None
    rule_id = add(ada)["id"]
    fire(services, rule_id)
    before = ada.get(f"{API}/{rule_id}").get_json()["data"]["alerts"][0]

    tables.outbox.mark_failed(*tables.outbox.claim_due(limit=9, claim_s=60), answer="410 gone")

    after = ada.get(f"{API}/{rule_id}").get_json()["data"]["alerts"][0]
    (event,) = ada.get(f"{API}/{rule_id}/history").get_json()["data"]
    assert (before["notification_failed"], after["notification_failed"]) == (False, True)
    assert event["notification_failed"] is True
