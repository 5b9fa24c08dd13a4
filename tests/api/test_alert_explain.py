"""`/api/v1/alerts/explain`: asked with what one has, answered with a sentence and reasons."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from tidegauge.app import create_app
from tidegauge.auth.actor import SYSTEM
from tidegauge.auth.principal import LOCAL, STRANGER, Principal, person
from tidegauge.config import Config, DatabaseConfig, TraceConfig
from tidegauge.model.alerts import AlertInstance, AlertRule, AlertState
from tidegauge.model.maintenance import MaintenanceWindow, Recurrence
from tidegauge.model.matchers import Matcher, MatchType
from tidegauge.services import Services

from tests.support.alerts import ENTRY, MAIL, make_change, make_evaluated, make_rule

API = "/api/v1/alerts/explain"
MINUTE_MS = 60_000
HOOK = {"type": "webhook", "target": "https://ada:pw@example.org/T0/secret", "secret": "secret-7"}


@pytest.fixture
def config(migrated_database_url: str) -> Config:
    return Config(
        database=DatabaseConfig(url=migrated_database_url), trace=TraceConfig(own_metrics_s=0)
    )


@pytest.fixture
def now_ms(services: Services) -> int:
    return services.clock_ms()


@pytest.fixture
def heat(push: Callable[..., None], now_ms: int) -> Callable[..., None]:
    """Send the temperature of a host, some time ago."""

    def send(host: str, value: float, *, ago_ms: int = 1000) -> None:
        push("heat", value, {"host": host}, now_ms - ago_ms)

    return send


def add_rule(services: Services, **fields: Any) -> AlertRule:
    tables = services.storage.alerts
    assert tables is not None
    return tables.rules.add(make_rule(**fields), ENTRY).rule


def stand(
    services: Services,
    rule: AlertRule,
    state: AlertState,
    at_ms: int,
    *,
    host: str = "a",
    told: bool = True,
    **fields: Any,
) -> None:
    """Let the alert of a host come to a state, as an evaluator would."""
    tables = services.storage.alerts
    assert tables is not None
    lease = tables.open_lease("test", 0).take()
    assert lease is not None
    series = (("host", host),)
    shown = (("alertname", rule.name), ("host", host), ("severity", rule.severity.value))
    times = {"active_ms": at_ms, "fired_ms": at_ms if state is AlertState.FIRING else None}
    if state is AlertState.RESOLVED:
        times["resolved_ms"] = at_ms
    alert = AlertInstance(series, state, value=6.0, **{**times, **fields})
    change = make_change(rule, AlertInstance(shown, state, value=6.0), told=told, now_ms=at_ms)
    change = replace(change, instance=alert)
    tables.changes.write(lease.token, [make_evaluated(rule, change, at_ms=at_ms)])


def client_of(services: Services, principal: Principal) -> FlaskClient:
    return create_app(services, local=principal).test_client()


def ask(client: FlaskClient, **params: Any) -> list[dict[str, Any]]:
    response = client.get(API, query_string=params)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()["data"]


def test_a_series_that_is_well_is_told_to_be_so(
    services: Services, client: FlaskClient, heat: Callable[..., None]
) -> None:
    add_rule(services)
    heat("a", 3)

    (said,) = ask(client, alertname="hot", host="a")

    assert said["summary"] == "not firing: the value 3 is not gt 5"
    assert said["answer"] == {
        "present": True,
        "value": 3.0,
        "condition": "gt",
        "threshold": 5.0,
        "holds": False,
        "reason": "",
    }
    assert said["labels"] == {"alertname": "hot", "host": "a", "severity": "warning"}


def test_a_series_that_is_not_in_the_answer_is_told_to_be_missing(
    services: Services, client: FlaskClient, heat: Callable[..., None]
) -> None:
    rule = add_rule(services)
    assert ask(client, rule_id=rule.id)[0]["summary"] == (
        "not firing: the query finds no data (no_data: resolve)"
    )
    heat("a", 3)

    (said,) = ask(client, alertname="hot", host="b")

    assert said["summary"] == ("not firing: none of the 1 series of the query has these labels")
    assert said["labels"] == {"alertname": "hot", "host": "b"}


def test_a_query_that_fails_is_told(services: Services, client: FlaskClient) -> None:
    rule = add_rule(services, query='label_replace(heat, "x", "$1", "host", "(")')

    (said,) = ask(client, rule_id=rule.id)

    assert said["summary"].startswith("not firing: the query failed: ")


def test_a_pending_alert_says_when_it_will_fire(
    services: Services, client: FlaskClient, now_ms: int
) -> None:
    rule = add_rule(services)
    stand(services, rule, AlertState.PENDING, now_ms, told=False, held_ms=120_000)

    (said,) = ask(client, host="a")

    assert said["summary"].endswith(": held 2m of 5m, fires in 3m if that goes on")
    assert (said["held_ms"], said["fires_in_ms"]) == (120_000, 180_000)


def test_a_silence_is_named_as_the_reason(
    services: Services, client: FlaskClient, now_ms: int
) -> None:
    rule = add_rule(services)
    stand(services, rule, AlertState.FIRING, now_ms, told=False)
    body = {
        "matchers": [{"name": "host", "value": "a"}],
        "ends_at": now_ms + MINUTE_MS,
        "comment": "new disks",
    }
    made = client.post("/api/v1/silences", json=body).get_json()["data"]

    (said,) = ask(client, host="a")

    assert f"not notified: silence {made['id']} (new disks) until " in said["summary"]
    assert [(one["kind"], one["id"]) for one in said["muted_by"]] == [("silence", made["id"])]
    assert said["notifications"] == []


def test_a_maintenance_window_is_named_as_the_reason(
    services: Services, client: FlaskClient, now_ms: int
) -> None:
    rule = add_rule(services)
    stand(services, rule, AlertState.FIRING, now_ms, told=False)
    body = {
        "name": "backups",
        "matchers": [{"name": "host", "value": "a"}],
        "time_zone": "UTC",
        "recurrence": {"start": "00:00", "duration": "24h"},
    }
    made = client.post("/api/v1/maintenance-windows", json=body).get_json()["data"]

    (said,) = ask(client, host="a")

    assert f"not notified: maintenance window {made['id']} (backups) until" in said["summary"]
    assert said["muted_by"][0]["until"] > now_ms


def test_a_delivered_alert_shows_its_notification_and_no_secret(
    services: Services, client: FlaskClient, now_ms: int
) -> None:
    rule = add_rule(services, channels=(HOOK,))
    stand(services, rule, AlertState.FIRING, now_ms)
    assert services.storage.alerts is not None
    outbox = services.storage.alerts.outbox
    (claimed,) = outbox.claim_due(limit=9, claim_s=60)
    outbox.mark_sent(claimed, answer="200 OK")

    response = client.get(API, query_string={"host": "a"})

    (said,) = response.get_json()["data"]
    assert "notified once at " in said["summary"]
    assert said["summary"].endswith(" by webhook")
    (told,) = said["notifications"]
    assert told["receiver"] == ""
    assert (told["state"], told["answer"], told["attempts"]) == ("sent", "200 OK", 1)
    assert told["idempotency_key"] == claimed.idempotency_key
    assert "secret" not in response.get_data(as_text=True)


def test_a_notification_that_failed_is_told(
    services: Services, client: FlaskClient, now_ms: int
) -> None:
    rule = add_rule(services)
    stand(services, rule, AlertState.FIRING, now_ms)
    assert services.storage.alerts is not None
    outbox = services.storage.alerts.outbox
    (claimed,) = outbox.claim_due(limit=9, claim_s=60)
    outbox.mark_for_retry(claimed, after_s=0, answer="451 later")

    waiting = ask(client, host="a")[0]["summary"]
    (claimed,) = outbox.claim_due(limit=9, claim_s=60)
    outbox.mark_failed(claimed, answer="550 no such mailbox")
    (said,) = ask(client, host="a")

    assert "not delivered yet: 451 later; the next attempt is at " in waiting
    assert said["summary"].endswith("notification failed after 2 attempts: 550 no such mailbox")
    assert said["notification_failed"] is True
    (told,) = said["notifications"]
    tries = [(one["attempt"], one["outcome"], one["answer"]) for one in told["tries"]]
    assert tries == [(1, "retry", "451 later"), (2, "failed", "550 no such mailbox")]
    assert told["breaker_open"] is False


def test_a_target_that_is_left_alone_is_told(
    services: Services, client: FlaskClient, now_ms: int
) -> None:
    rule = add_rule(services)
    stand(services, rule, AlertState.FIRING, now_ms)
    assert services.storage.alerts is not None
    outbox = services.storage.alerts.outbox
    (claimed,) = outbox.claim_due(limit=9, claim_s=60)
    outbox.mark_for_retry(claimed, after_s=0, answer="given back", counted=False)
    (claimed,) = outbox.claim_due(limit=9, claim_s=60)
    outbox.mark_for_retry(claimed, after_s=60, answer="the breaker is open", counted=False)

    (told,) = ask(client, host="a")[0]["notifications"]

    assert [one["outcome"] for one in told["tries"]] == ["given back", "refused"]
    assert told["breaker_open"] is True


def test_who_took_it_on_is_told(services: Services, client: FlaskClient, now_ms: int) -> None:
    rule = add_rule(services)
    stand(services, rule, AlertState.FIRING, now_ms)
    ada = client_of(services, person(7, "ada", "editor"))
    ada.post(f"/api/v1/alerts/{rule.id}/acknowledge", json={"comment": "on it"})

    (said,) = ask(client, host="a")

    assert said["summary"].endswith("acknowledged by ada (on it): not repeated until it is over")
    assert said["acknowledgement"]["comment"] == "on it"


def test_a_rule_that_tells_nobody_is_found_out(
    services: Services, client: FlaskClient, now_ms: int
) -> None:
    rule = add_rule(services, channels=())
    stand(services, rule, AlertState.FIRING, now_ms)

    (said,) = ask(client, rule_id=rule.id)

    assert said["summary"].endswith(
        "not notified: the rule names nobody to tell, and no route leads to anybody"
    )


def test_the_past_is_told_as_it_was(
    services: Services, client: FlaskClient, heat: Callable[..., None], now_ms: int
) -> None:
    rule = add_rule(services)
    heat("a", 6, ago_ms=4 * MINUTE_MS)
    heat("a", 4, ago_ms=1000)
    stand(services, rule, AlertState.PENDING, now_ms - 5 * MINUTE_MS, told=False)
    stand(services, rule, AlertState.FIRING, now_ms - 2 * MINUTE_MS, told=False)
    stand(services, rule, AlertState.RESOLVED, now_ms - 1000, told=False)

    (before,) = ask(client, host="a", time=now_ms - 6 * MINUTE_MS)
    (pending,) = ask(client, host="a", time=now_ms - 3 * MINUTE_MS)
    (firing,) = ask(client, host="a", time=now_ms - MINUTE_MS)
    (resolved,) = ask(client, host="a")

    states = [one["state"] for one in (before, pending, firing, resolved)]
    assert states == ["inactive", "pending", "firing", "resolved"]
    assert (pending["answer"]["value"], pending["held_ms"]) == (6.0, 2 * MINUTE_MS)
    assert firing["since"] == now_ms - 2 * MINUTE_MS


def test_one_asks_with_labels_selectors_or_an_object(
    services: Services, client: FlaskClient, heat: Callable[..., None]
) -> None:
    first = add_rule(services)
    add_rule(services, name="other", labels=(("team", "db"),))
    for host in "ab":
        heat(host, 3)

    def found(**params: Any) -> list[tuple[str, str]]:
        said = ask(client, **params)
        return sorted((one["rule"]["name"], one["labels"].get("host", "")) for one in said)

    assert found(rule_id=first.id) == [("hot", "a"), ("hot", "b")]
    assert found(host="a") == [("hot", "a"), ("other", "a")]
    assert found(labels=orjson.dumps({"team": "db", "host": "b"}).decode()) == [("other", "b")]
    assert found(**{"match[]": '{alertname=~"ot.*",host!="a"}'}) == [("other", "b")]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 400),
        ({"labels": "{"}, 400),
        ({"labels": "[1]"}, 400),
        ({"match[]": "{"}, 400),
        ({"time": "soon", "host": "a"}, 400),
        ({"rule_id": "x"}, 400),
        ({"rule_id": "99999999999"}, 404),
        ({"alertname": "nothing"}, 404),
    ],
)
def test_what_makes_no_sense_is_refused(
    services: Services, client: FlaskClient, params: dict[str, str], status: int
) -> None:
    add_rule(services)

    assert client.get(API, query_string=params).status_code == status


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "-2305843009213693951", "1e18"]
)
def test_a_time_that_no_calendar_has_is_refused_whatever_there_is(
    client: FlaskClient, services: Services, now_ms: int, time: str
) -> None:
    services.maintenance.add(
        MaintenanceWindow(
            name="nights",
            matchers=(Matcher(MatchType.EQUAL, "host", "a"),),
            zone="Europe/Berlin",
            schedule=Recurrence(start=datetime.time(2), duration_ms=3_600_000),
        ),
        SYSTEM,
    )
    rule = add_rule(services)
    stand(services, rule, AlertState.FIRING, now_ms - MINUTE_MS)

    response = client.get(API, query_string={"rule_id": rule.id, "time": time})

    assert response.status_code == 400
    assert "from 1970 to 2199" in response.get_json()["error"]


def test_who_may_not_see_alerts_is_told_nothing(services: Services) -> None:
    add_rule(services, channels=(MAIL,))

    assert client_of(services, STRANGER).get(f"{API}?host=a").status_code == 401
    assert client_of(services, LOCAL).get(f"{API}?host=a").status_code == 200


def test_an_alert_that_others_posted_is_explained_too(
    services: Services, client: FlaskClient
) -> None:
    add_rule(services)
    body = [{"labels": {"alertname": "DiskFull", "host": "b"}}]
    assert client.post("/alertmanager/api/v2/alerts", json=body).status_code == 200

    (said,) = ask(client, alertname="DiskFull")
    (also,) = ask(client, host="b")

    assert (said["state"], said["rule"]) == ("firing", None)
    assert "not notified: " in said["summary"]
    assert said["answer"]["reason"].startswith("others post this alert")
    assert also["labels"] == said["labels"]
